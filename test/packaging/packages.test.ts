/** Packages as their managers see them: what is in them, and that nothing stays when they are removed. */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { copyFile, mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { gunzipSync } from "node:zlib";
import { version } from "../../package.json";
import { filesWithOpenrc, filesWithSystemd } from "../../packaging/layout.ts";
import { describeWith, ensurePackages } from "../lab/apt.ts";
import { mustRun, run } from "../lab/process.ts";
import { compiledAgent } from "../vm/agent.ts";
import { debianRoot, debianRootPackages } from "../vm/debian-root.ts";
import { treeOf } from "./root.ts";

setDefaultTimeout(300_000);

const isRoot = process.getuid?.() === 0;
const packages = await ensurePackages([...debianRootPackages, "dpkg", "rpm", "tar", "xz-utils", "busybox-static"]);

/** Paths that a manager's own bookkeeping changes. */
const BOOKKEEPING = /^\/var\/(?:lib|log|cache)(?:\/|$)/;

const settled = (root: string): Record<string, string> =>
  Object.fromEntries(Object.entries(treeOf(root)).filter(([path]) => !BOOKKEEPING.test(path)));

const added = (before: Record<string, string>, after: Record<string, string>): string[] =>
  Object.keys(after).filter((path) => before[path] === undefined && !after[path]?.startsWith("directory"));

describeWith("packages", isRoot ? packages : { available: false, reason: "not root" }, () => {
  let folder = "";
  let out = "";
  let executable = "";
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "inguest-packages-"));
    out = join(folder, "out");
    const dist = join(folder, "dist");
    executable = join(dist, "inguest-linux-x64");
    await mkdir(dist);
    // The names are what matters here; the second one is not run.
    for (const name of ["inguest-linux-x64", "inguest-linux-x64-musl"])
      await copyFile(await compiledAgent(), join(dist, name));
    const script = resolve(import.meta.dir, "../../packaging/package.ts");
    for (const target of ["linux-x64", "linux-x64-musl"]) {
      const options = ["--quick", `--dist=${dist}`, `--out=${out}`, `--target=${target}`];
      await mustRun([process.execPath, script, ...options], {
        timeoutMs: 240_000,
        env: { SOURCE_DATE_EPOCH: "1800000000" },
      });
    }
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test("a release has all of them, with checksums and the list of what is in them", async () => {
    expect(readdirSync(out).sort()).toEqual(
      [
        "SHA256SUMS",
        `inguest-${version}-1.x86_64.rpm`,
        `inguest-${version}-r0.x86_64.apk`,
        `inguest-${version}.cdx.json`,
        "inguest-linux-x64-musl.tar.xz",
        "inguest-linux-x64.tar.xz",
        `inguest_${version}_amd64.deb`,
        "install.sh",
      ].sort(),
    );
    await mustRun(["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"], { cwd: out });
    const { bomFormat, components } = await Bun.file(join(out, `inguest-${version}.cdx.json`)).json();
    expect(bomFormat).toBe("CycloneDX");
    expect(components.map(({ name }: { name: string }) => name).sort()).toEqual(["bun", "valibot"]);
  });

  test("a tarball has the executable", async () => {
    const list = await mustRun(["tar", "-tvJf", join(out, "inguest-linux-x64.tar.xz")]);
    expect(list).toMatch(/^-rwxr-xr-x root\/root .* inguest-linux-x64\/inguest$/m);
  });

  test("deb: dpkg installs it, and purges all of it", async () => {
    const root = join(folder, "debian");
    await mustRun(["cp", "-a", "--reflink=auto", await debianRoot([]), root]);
    const deb = join(out, `inguest_${version}_amd64.deb`);
    const before = settled(root);
    await mustRun(["dpkg", `--root=${root}`, "--install", deb]);
    const after = settled(root);
    expect(added(before, after).sort()).toEqual(
      filesWithSystemd(executable)
        .map(({ to }) => to)
        .sort(),
    );
    expect(readFileSync(`${root}/usr/bin/inguest`).equals(readFileSync(executable))).toBe(true);
    // It wants /proc, as every program of Bun's does.
    const withProc = 'mount -t proc proc "$0/proc"; exec chroot "$0" inguest --version';
    expect(await mustRun(["unshare", "--mount", "sh", "-c", withProc, root])).toContain(`inguest ${version}`);
    expect(await mustRun(["chroot", root, "dpkg", "--verify", "inguest"])).toBe("");
    await mustRun(["dpkg", `--root=${root}`, "--purge", "inguest"]);
    expect(settled(root)).toEqual(before);
  });

  test("rpm: it is installed, verified and erased without a rest", async () => {
    const root = join(folder, "fedora");
    await mustRun([
      "mkdir",
      "-p",
      `${root}/bin`,
      `${root}/usr/bin`,
      `${root}/usr/lib`,
      `${root}/usr/share/doc`,
      `${root}/etc`,
    ]);
    await mustRun(["sh", "-c", `cp /bin/busybox "$0/bin/sh"; cp /bin/busybox "$0/bin/rm"`, root]);
    const rpm = join(out, `inguest-${version}-1.x86_64.rpm`);
    const before = settled(root);
    // There is no glibc to depend on.
    const own = ["rpm", `--root=${root}`, "--dbpath=/var/lib/rpm", "--nodeps"];
    await mustRun([...own, "--install", rpm]);
    expect(added(before, settled(root)).sort()).toEqual(
      filesWithSystemd(executable)
        .map(({ to }) => to)
        .sort(),
    );
    expect(readFileSync(`${root}/usr/bin/inguest`).equals(readFileSync(executable))).toBe(true);
    expect(await mustRun([...own, "--verify", "inguest"])).toBe("");
    expect(await mustRun(["rpm", "-qp", "--conflicts", rpm])).toContain("qemu-guest-agent");
    await mustRun([...own, "--erase", "inguest"]);
    const left = added(before, settled(root));
    expect(left).toEqual([]);
    expect(existsSync(`${root}/etc/qemu`)).toBe(false);
  });

  test("apk: its two streams hold what apk looks for", async () => {
    const bytes = readFileSync(join(out, `inguest-${version}-r0.x86_64.apk`));
    // Both streams in one go are one archive, as tar sees it.
    const list = await mustRun(["tar", "-tvzf", join(out, `inguest-${version}-r0.x86_64.apk`)]);
    const names = list
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/\s+/).at(-1) ?? "");
    const files = filesWithOpenrc(executable).map(({ to }) => to.slice(1));
    expect(names.slice(0, 3)).toEqual([".PKGINFO", ".post-install", ".pre-deinstall"]);
    expect(
      names
        .slice(3)
        .filter((name) => !name.endsWith("/") && files.includes(name))
        .sort(),
    ).toEqual(files.sort());

    // The second stream begins where the digest of the rest is the one that the first one tells.
    const information = await mustRun(["tar", "-xzOf", join(out, `inguest-${version}-r0.x86_64.apk`), ".PKGINFO"]);
    const datahash = /^datahash = ([0-9a-f]{64})$/m.exec(information)?.[1];
    const starts = Array.from({ length: 65_536 }, (_, at) => at + 1).filter(
      (at) => bytes[at] === 0x1f && bytes[at + 1] === 0x8b && bytes[at + 2] === 8,
    );
    const data = starts
      .map((at) => bytes.subarray(at))
      .find((rest) => createHash("sha256").update(rest).digest("hex") === datahash);
    expect(data).toBeDefined();
    const archive = gunzipSync(data ?? "");
    const digest = createHash("sha1").update(readFileSync(executable)).digest("hex");
    expect(archive.includes(`APK-TOOLS.checksum.SHA1=${digest}\n`)).toBe(true);
    expect(information).toContain("arch = x86_64\n");
    expect(information).toContain("depend = !qemu-guest-agent\n");

    const control = join(folder, "control");
    const unpacked = join(folder, "unpacked");
    await mustRun(["mkdir", control, unpacked]);
    await mustRun(["tar", "-xzf", join(out, `inguest-${version}-r0.x86_64.apk`), "-C", unpacked]);
    expect(readFileSync(join(unpacked, "usr/bin/inguest")).equals(readFileSync(executable))).toBe(true);
    expect((await run(["test", "-x", join(unpacked, "etc/init.d/inguest")])).exitCode).toBe(0);
  });
});
