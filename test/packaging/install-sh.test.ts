/** packaging/install.sh in roots with nothing but busybox: which executable it takes, and what it says when there is none. */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describeWith, ensurePackages } from "../lab/apt.ts";
import { type Finished, mustRun, run } from "../lab/process.ts";

setDefaultTimeout(30_000);

const script = resolve(import.meta.dir, "../../packaging/install.sh");
const isRoot = process.getuid?.() === 0;
const packages = await ensurePackages(["busybox-static", "xz-utils"]);

const GLIBC = "mkdir -p lib64; touch lib64/ld-linux-x86-64.so.2";
const MUSL = "touch lib/ld-musl-x86_64.so.1";
const MODERN = "echo 'flags : fpu sse4_1 sse4_2 avx' >proc/cpuinfo";

/** Stands for the executable: says how it was called. */
const SPY = '#!/bin/sh\n[ "$1" = --version ] && exit\necho "$0" "$@"\n';

describeWith("install.sh", isRoot ? packages : { available: false, reason: "not root" }, () => {
  let root = "";
  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "inguest-sh-"));
  });
  afterAll(() => rmSync(root, { recursive: true }));

  /** A root made by commands, and a source with the executables of both C libraries. */
  async function make(commands: string): Promise<void> {
    await mustRun(["sh", "-c", `rm -rf "$0"/*; cp /bin/busybox "$0"/sh`, root]);
    await Bun.write(join(root, "from/inguest-linux-x64"), SPY);
    await Bun.write(join(root, "from/inguest-linux-x64-musl"), SPY);
    await Bun.write(join(root, "from/install.sh"), Bun.file(script));
    const setup = `set -e; cd "$0"; mkdir -p bin dev lib usr/lib proc tmp; mknod -m 666 dev/null c 1 3; mv sh bin/busybox; chroot . /bin/busybox --install /bin
      (cd from; sha256sum inguest-* >SHA256SUMS); ${commands}`;
    await mustRun(["sh", "-c", setup, root]);
  }

  const install = (...options: readonly string[]): Promise<Finished> =>
    run(["/usr/sbin/chroot", root, "/bin/busybox", "sh", "/from/install.sh", ...options], { env: { PATH: "/bin" } });

  test("takes the executable for glibc, and hands its options on", async () => {
    await make(`${GLIBC}; ${MODERN}`);
    const { exitCode, stdout, stderr } = await install("--dry-run", "--replace");
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toMatch(/^\/tmp\/inguest\.\w+\/inguest install --dry-run --replace\n$/);
    expect(await Array.fromAsync(new Bun.Glob("**").scan({ cwd: join(root, "tmp"), onlyFiles: false }))).toEqual([]);
  });

  test("takes the executable for musl only where its library is", async () => {
    await make(`${MUSL}; ${MODERN}; touch usr/lib/libstdc++.so.6`);
    await Bun.write(join(root, "from/inguest-linux-x64"), "broken");
    expect((await install()).exitCode).toBe(0);
    await mustRun(["rm", join(root, "usr/lib/libstdc++.so.6")]);
    const { exitCode, stderr } = await install();
    expect(exitCode).toBe(1);
    expect(stderr).toBe("install.sh: libstdc++.so.6 is missing, which inguest needs: apk add libstdc++\n");
  });

  test("has one line about a CPU that is too old", async () => {
    await make(`${GLIBC}; echo 'flags : fpu sse4_1 xsse4_2' >proc/cpuinfo`);
    const { exitCode, stderr } = await install();
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^install\.sh: this CPU has no SSE4\.2.*\n$/);
  });

  test("refuses what is damaged, not listed, or not there", async () => {
    await make(`${GLIBC}; ${MODERN}; echo '# more' >>from/inguest-linux-x64`);
    expect((await install()).stderr).toContain("inguest-linux-x64 is damaged");
    await make(`${GLIBC}; ${MODERN}; sed -i /x64\\$/d from/SHA256SUMS`);
    expect((await install()).stderr).toContain("does not list inguest-linux-x64");
    await make(`${GLIBC}; ${MODERN}; rm from/inguest-linux-x64`);
    expect((await install()).stderr).toContain("there is no /from/inguest-linux-x64");
    await make(`${MODERN}`);
    expect((await install()).stderr).toContain("neither glibc nor musl is here");
  });

  test("unpacks the tarball where there is one and xz", async () => {
    await make(
      `${GLIBC}; ${MODERN}; cd from; mkdir inguest-linux-x64.d; mv inguest-linux-x64 inguest-linux-x64.d/inguest
       mv inguest-linux-x64.d inguest-linux-x64; chmod 755 inguest-linux-x64/inguest
       tar -cJf inguest-linux-x64.tar.xz inguest-linux-x64; rm -r inguest-linux-x64
       sha256sum *.tar.xz >SHA256SUMS`,
    );
    const { stdout, stderr } = await install("--no-start");
    expect(stderr).toBe("");
    expect(stdout).toMatch(/\/inguest-linux-x64\/inguest install --no-start\n$/);
  });

  test("tells of xz, where there is only a tarball", async () => {
    const from = join(root, "from");
    await make("rm from/*");
    await mustRun(["cp", script, from]);
    await Bun.write(join(from, "SHA256SUMS"), `${"0".repeat(64)}  inguest-linux-x64.tar.xz\n`);
    // This machine's shell: busybox says that it has xz, whether it is there or not.
    const tools = ["uname", "grep", "mktemp", "rm", "ln", "sed", "tar"];
    for (const tool of tools) await mustRun(["ln", "-s", Bun.which(tool) ?? tool, from]);
    const { exitCode, stderr } = await run(["/bin/sh", join(from, "install.sh")], { env: { PATH: from } });
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^install\.sh: xz or tar is missing, which inguest-linux-x64\.tar\.xz needs: .*\n$/);
  });

  test("fetches from a web server", async () => {
    await make(`${GLIBC}; ${MODERN}`);
    using server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      async fetch({ url }) {
        const file = Bun.file(join(root, "from", new URL(url).pathname));
        return (await file.exists()) ? new Response(file) : new Response("", { status: 404 });
      },
    });
    const from = `http://127.0.0.1:${server.port}`;
    expect((await install("--from", `${from}/`)).stdout).toContain("/inguest install\n");
    const { exitCode, stderr } = await install(`--from=${from}/elsewhere`);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`could not fetch ${from}/elsewhere/SHA256SUMS`);
  });
});
