/** Packages as their managers see them: what is in them, and that nothing stays when they are removed. */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { gunzipSync } from "node:zlib";
import { version } from "../../package.json";
import {
  filesOfApk,
  filesOfDeb,
  filesOfLinuxArchive,
  filesOfRpm,
  filesOfWindowsArchive,
  type PackagedFile,
} from "../../packaging/layout.ts";
import { describeWith, ensurePackages } from "../lab/apt.ts";
import { mustRun, run } from "../lab/process.ts";
import { compiledAgent } from "../vm/agent.ts";
import { debianRoot, debianRootPackages } from "../vm/debian-root.ts";
import { treeOf } from "./root.ts";

setDefaultTimeout(300_000);

const isRoot = process.getuid?.() === 0;
const packages = await ensurePackages([
  ...[...debianRootPackages, "dpkg", "rpm", "tar", "xz-utils", "busybox-static"],
  // Readers of what is in them, and arm64 on another machine
  ...["bash", "zsh", "fish", "man-db", "groff", "mandoc", "qemu-user-static", "libc6-arm64-cross"],
]);

/** Kinds of machines in ELF and PE files (elf.h; "PE Format" of Microsoft's documentation). */
const EM = { x64: 62, arm64: 183 } as const;
const IMAGE_FILE_MACHINE_AMD64 = 0x8664;

const elfMachine = (bytes: Buffer): number => bytes.readUInt16LE(18);
const peMachine = (bytes: Buffer): number => bytes.readUInt16LE(bytes.readUInt32LE(0x3c) + 4);

/** Paths that a manager's own bookkeeping changes. */
const BOOKKEEPING = /^\/var(?:\/|$)/;

const settled = (root: string): Record<string, string> =>
  Object.fromEntries(Object.entries(treeOf(root)).filter(([path]) => !BOOKKEEPING.test(path)));

const added = (before: Record<string, string>, after: Record<string, string>): string[] =>
  Object.keys(after).filter((path) => before[path] === undefined && !after[path]?.startsWith("directory"));

const pathsOf = (files: readonly PackagedFile[]): string[] => files.map(({ to }) => to).sort();

const linesOf = (text: string): string[] => text.trimEnd().split("\n");

/** The paths of files in a list of an archive's members, each with a slash in front. */
const listed = (lines: readonly string[]): string[] =>
  lines
    .filter((path) => !path.endsWith("/"))
    .map((path) => `/${path}`)
    .sort();

const ROOT = resolve(import.meta.dir, "../..");

/** The executable of a target that does not run here, built if it is missing. */
async function executableFor(target: string, name: string): Promise<string> {
  const path = join(ROOT, "dist", name);
  if (!existsSync(path)) await mustRun([process.execPath, "run", "build.ts", "--target", target], { cwd: ROOT });
  return path;
}

/** Reads what an installed package has for readers and shells. */
async function readAll(root: string, zsh: string): Promise<void> {
  const share = join(root, "usr/share");
  const silent = { exitCode: 0, stderr: "" };
  for (const [name, word] of [
    ["inguest", "--fsfreeze-hook"],
    ["inguest-ctl", "guest-get-osinfo"],
  ] as const) {
    const path = (await mustRun(["man", "-M", join(share, "man"), "-w", name])).trim();
    expect(path).toBe(join(share, `man/man1/${name}.1.gz`));
    expect(await run(["man", "--warnings", "-E", "UTF-8", "-l", path])).toMatchObject(silent);
    expect((await mustRun(["mandoc", "-T", "ascii", path])).replace(/.\x08/g, "")).toContain(word);
  }
  const scripts = {
    bash: "bash-completion/completions/inguest",
    zsh: `zsh/${zsh}/_inguest`,
    fish: "fish/vendor_completions.d/inguest.fish",
  };
  for (const [shell, path] of Object.entries(scripts)) {
    expect(await run([shell, "-n", join(share, path)])).toMatchObject(silent);
  }
  expect(readFileSync(join(share, scripts.zsh), "utf8")).toStartWith("#compdef inguest\n");
}

describeWith("packages", isRoot ? packages : { available: false, reason: "not root" }, () => {
  let folder = "";
  let out = "";
  const made = { executable: "", printed: "/printed" };
  let arm64 = "";
  let arm64Musl = "";
  let windows = "";
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "inguest-packages-"));
    out = join(folder, "out");
    const dist = join(folder, "dist");
    made.executable = await compiledAgent();
    arm64 = await executableFor("linux-arm64", "inguest-linux-arm64");
    arm64Musl = await executableFor("linux-arm64-musl", "inguest-linux-arm64-musl");
    windows = await executableFor("windows-x64", "inguest-windows-x64.exe");
    mkdirSync(dist);
    for (const [name, path] of [
      ["inguest-linux-x64", made.executable],
      // It is not run.
      ["inguest-linux-x64-musl", made.executable],
      ["inguest-linux-arm64", arm64],
      ["inguest-linux-arm64-musl", arm64Musl],
      ["inguest-windows-x64.exe", windows],
    ] as const) {
      symlinkSync(resolve(path), join(dist, name));
    }
    await mustRun([process.execPath, join(ROOT, "packaging/package.ts"), "--quick", `--dist=${dist}`, `--out=${out}`], {
      timeoutMs: 590_000,
      env: { SOURCE_DATE_EPOCH: "1800000000" },
    });
  }, 600_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  test("a release has all of them, with checksums and the list of what is in them", async () => {
    expect(readdirSync(out).sort()).toEqual(
      [
        "SHA256SUMS",
        `inguest-${version}-1.aarch64.rpm`,
        `inguest-${version}-1.x86_64.rpm`,
        `inguest-${version}-r0.aarch64.apk`,
        `inguest-${version}-r0.x86_64.apk`,
        `inguest-${version}.cdx.json`,
        "inguest-linux-arm64-musl.tar.xz",
        "inguest-linux-arm64.tar.xz",
        "inguest-linux-x64-musl.tar.xz",
        "inguest-linux-x64.tar.xz",
        "inguest-windows-x64.tar.xz",
        `inguest_${version}_amd64.deb`,
        `inguest_${version}_arm64.deb`,
        "install.sh",
      ].sort(),
    );
    await mustRun(["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"], { cwd: out });
    expect(readFileSync(join(out, "SHA256SUMS"), "utf8").trimEnd().split("\n")).toHaveLength(13);
    const { bomFormat, components } = await Bun.file(join(out, `inguest-${version}.cdx.json`)).json();
    expect(bomFormat).toBe("CycloneDX");
    expect(components.map(({ name }: { name: string }) => name).sort()).toEqual(["bun", "valibot"]);
  });

  test("a tarball has the executable, and share as /usr/local has it", async () => {
    const tarball = join(out, "inguest-linux-x64.tar.xz");
    expect(await mustRun(["tar", "-tvJf", tarball])).toMatch(/^-rwxr-xr-x root\/root .* inguest-linux-x64\/inguest$/m);
    expect(listed(linesOf(await mustRun(["tar", "-tJf", tarball])))).toEqual(
      pathsOf(filesOfLinuxArchive(made)).map((path) => `/inguest-linux-x64${path}`),
    );
    const unpacked = join(folder, "tarball");
    mkdirSync(unpacked);
    await mustRun(["tar", "-xJf", tarball, "-C", unpacked, "--strip-components=1"]);
    expect(await mustRun(["man", "--warnings", "-l", join(unpacked, "share/man/man1/inguest.1")])).toContain(
      "--method",
    );
  });

  test("install.sh finds in it what this machine needs", async () => {
    const root = join(folder, "installed");
    mkdirSync(join(root, "etc"), { recursive: true });
    const options = ["--init", "systemd", "--root", root];
    await mustRun(["sh", join(out, "install.sh"), ...options]);
    expect(readFileSync(join(root, "usr/local/bin/inguest")).equals(readFileSync(made.executable))).toBe(true);
  });

  test("the tarball for Windows has the executable and its scripts", async () => {
    const wanted = pathsOf(filesOfWindowsArchive({ ...made, executable: windows })).map(
      (path) => `/inguest-windows-x64${path}`,
    );
    expect(wanted).toContain("/inguest-windows-x64/verify.ps1");
    const tarball = join(out, "inguest-windows-x64.tar.xz");
    expect(listed(linesOf(await mustRun(["tar", "-tJf", tarball])))).toEqual(wanted);
    const unpacked = join(folder, "windows");
    mkdirSync(unpacked);
    await mustRun(["tar", "-xJf", tarball, "-C", unpacked]);
    const executable = readFileSync(join(unpacked, "inguest-windows-x64/inguest.exe"));
    expect(executable.equals(readFileSync(windows))).toBe(true);
    expect(peMachine(executable)).toBe(IMAGE_FILE_MACHINE_AMD64);
  });

  test("deb: dpkg installs it, and purges all of it", async () => {
    const root = join(folder, "debian");
    await mustRun(["cp", "-a", "--reflink=auto", await debianRoot([]), root]);
    const deb = join(out, `inguest_${version}_amd64.deb`);
    const before = settled(root);
    await mustRun(["dpkg", `--root=${root}`, "--install", deb]);
    const after = settled(root);
    expect(added(before, after).sort()).toEqual(pathsOf(filesOfDeb(made)));
    expect(readFileSync(`${root}/usr/bin/inguest`).equals(readFileSync(made.executable))).toBe(true);
    // It wants /proc, as every program of Bun's does.
    const withProc = 'mount -t proc proc "$0/proc"; exec chroot "$0" inguest --version';
    expect(await mustRun(["unshare", "--mount", "sh", "-c", withProc, root])).toContain(`inguest ${version}`);
    await readAll(root, "vendor-completions");
    expect(await mustRun(["chroot", root, "dpkg", "--verify", "inguest"])).toBe("");
    await mustRun(["dpkg", `--root=${root}`, "--purge", "inguest"]);
    expect(settled(root)).toEqual(before);
  });

  test("rpm: it is installed, verified and erased without a rest", async () => {
    const root = join(folder, "fedora");
    const folders = ["bin", "usr/bin", "usr/lib", "usr/share/doc", "usr/share/man/man1", "etc"];
    for (const path of folders) mkdirSync(join(root, path), { recursive: true });
    await mustRun(["sh", "-c", `cp /bin/busybox "$0/bin/sh"; cp /bin/busybox "$0/bin/rm"`, root]);
    const rpm = join(out, `inguest-${version}-1.x86_64.rpm`);
    const before = settled(root);
    // There is no glibc to depend on.
    const own = ["rpm", `--root=${root}`, "--dbpath=/var/lib/rpm", "--nodeps"];
    await mustRun([...own, "--install", rpm]);
    expect(added(before, settled(root)).sort()).toEqual(pathsOf(filesOfRpm(made)));
    expect(readFileSync(`${root}/usr/bin/inguest`).equals(readFileSync(made.executable))).toBe(true);
    await readAll(root, "site-functions");
    expect(await mustRun([...own, "--verify", "inguest"])).toBe("");
    expect(await mustRun(["rpm", "-qp", "--conflicts", rpm])).toContain("qemu-guest-agent");
    await mustRun([...own, "--erase", "inguest"]);
    // Directories that every system has are not the package's.
    const left = Object.keys(settled(root)).filter(
      (path) => before[path] === undefined && !path.startsWith("/usr/lib/"),
    );
    expect(left).toEqual([]);
  });

  describe.each([
    ["x86_64", EM.x64, () => made.executable],
    ["aarch64", EM.arm64, () => arm64Musl],
  ] as const)("apk for %s", (machine, elf, executable) => {
    const path = (): string => join(out, `inguest-${version}-r0.${machine}.apk`);

    test("its two streams hold what apk looks for", async () => {
      const bytes = readFileSync(path());
      // Both streams in one go are one archive, as tar sees it.
      const members = linesOf(await mustRun(["tar", "-tvzf", path()]));
      const names = members.filter((line) => line.startsWith("-")).map((line) => line.split(/\s+/).at(-1) ?? "");
      expect(names.slice(0, 3)).toEqual([".PKGINFO", ".post-install", ".pre-deinstall"]);
      expect(listed(names.slice(3))).toEqual(pathsOf(filesOfApk(made)));

      // The second stream begins where the digest of the rest is the one that the first one tells.
      const information = await mustRun(["tar", "-xzOf", path(), ".PKGINFO"]);
      const datahash = /^datahash = ([0-9a-f]{64})$/m.exec(information)?.[1];
      const starts = Array.from({ length: 65_536 }, (_, at) => at + 1).filter(
        (at) => bytes[at] === 0x1f && bytes[at + 1] === 0x8b && bytes[at + 2] === 8,
      );
      const data = starts
        .map((at) => bytes.subarray(at))
        .find((rest) => createHash("sha256").update(rest).digest("hex") === datahash);
      expect(data).toBeDefined();
      const archive = gunzipSync(data ?? "");
      const digest = createHash("sha1").update(readFileSync(executable())).digest("hex");
      expect(archive.includes(`APK-TOOLS.checksum.SHA1=${digest}\n`)).toBe(true);
      expect(information).toContain(`arch = ${machine}\n`);
      expect(information).toContain("depend = !qemu-guest-agent\n");
    });

    test("unpacked, it can be read and is for the machine", async () => {
      const unpacked = join(folder, `apk-${machine}`);
      mkdirSync(unpacked);
      await mustRun(["tar", "-xzf", path(), "-C", unpacked]);
      const program = readFileSync(join(unpacked, "usr/bin/inguest"));
      expect(program.equals(readFileSync(executable()))).toBe(true);
      expect(elfMachine(program)).toBe(elf);
      expect((await run(["test", "-x", join(unpacked, "etc/init.d/inguest")])).exitCode).toBe(0);
      await readAll(unpacked, "site-functions");
    });
  });

  describe("for arm64", () => {
    test("deb: control fields, files, and a program that runs", async () => {
      const deb = join(out, `inguest_${version}_arm64.deb`);
      const fields = (await mustRun(["dpkg-deb", "--field", deb, "Package", "Version", "Architecture"])).trim();
      expect(fields).toBe(`Package: inguest\nVersion: ${version}\nArchitecture: arm64`);
      const unpacked = join(folder, "arm64");
      await mustRun(["dpkg-deb", "--extract", deb, unpacked]);
      const files = Object.entries(treeOf(unpacked)).filter(([, kind]) => !kind.startsWith("directory"));
      expect(files.map(([path]) => path).sort()).toEqual(pathsOf(filesOfDeb(made)));
      const program = join(unpacked, "usr/bin/inguest");
      expect(elfMachine(readFileSync(program))).toBe(EM.arm64);
      const emulated = ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu", program];
      expect(await mustRun([...emulated, "--version"])).toContain(`inguest ${version}`);
      const talk = `printf '{"execute": "guest-get-osinfo"}\\n' | "$@" -m stdio -t "$0"`;
      const answer = await mustRun(["sh", "-c", talk, folder, ...emulated]);
      expect(JSON.parse(answer)).toMatchObject({ return: { machine: "aarch64" } });
    });

    test("rpm: its machine and files", async () => {
      const rpm = join(out, `inguest-${version}-1.aarch64.rpm`);
      const facts = "%{NAME} %{VERSION} %{ARCH} %{OS}\n";
      expect(await mustRun(["rpm", "-qp", "--queryformat", facts, rpm])).toBe(`inguest ${version} aarch64 linux\n`);
      const entry = "[%{FILEMODES:perms} %{FILEDIGESTS} %{FILENAMES}\n]";
      const entries = linesOf(await mustRun(["rpm", "-qp", "--queryformat", entry, rpm]));
      const lines = entries.filter((line) => line.startsWith("-"));
      expect(lines.map((line) => line.slice(line.indexOf("/"))).sort()).toEqual(pathsOf(filesOfRpm(made)));
      const digest = createHash("sha256").update(readFileSync(arm64)).digest("hex");
      expect(lines).toContain(`-rwxr-xr-x ${digest} /usr/bin/inguest`);
    });

    test("tarballs: for glibc and for musl", async () => {
      for (const [name, loader] of [
        ["inguest-linux-arm64", "/lib/ld-linux-aarch64.so.1"],
        ["inguest-linux-arm64-musl", "/lib/ld-musl-aarch64.so.1"],
      ] as const) {
        const tarball = join(out, `${name}.tar.xz`);
        await mustRun(["tar", "-xJf", tarball, "-C", folder, `${name}/inguest`]);
        const program = readFileSync(join(folder, name, "inguest"));
        expect(elfMachine(program)).toBe(EM.arm64);
        expect(program.subarray(0, 4096).includes(`${loader}\0`)).toBe(true);
      }
    });
  });
});
