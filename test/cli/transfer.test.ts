/** `ctl pull` and `ctl push` against inguest and the real qemu-ga. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { dieWithParent, type Finished, mustRun, run, waitFor } from "../lab/process.ts";
import { type AgentAtSocket, agentKinds, ctlCommand, newFolder, startAt } from "./agents.ts";

setDefaultTimeout(120_000);

const MiB = 1 << 20;
/** `INGUEST_TEST_PULL_MIB=1024` for the large one. */
const LARGE_MIB = Number(process.env.INGUEST_TEST_PULL_MIB ?? 256);

const folder = newFolder();
afterAll(() => rmSync(folder, { recursive: true }));

/** Bytes that compress and repeat as little as those of real files. */
async function makeLarge(path: string, mebibytes: number): Promise<string> {
  await mustRun(["sh", "-c", `head -c ${mebibytes}M /dev/urandom >'${path}'`]);
  return hashOf(path);
}

const hashOf = async (path: string): Promise<string> => (await mustRun(["sha256sum", path])).slice(0, 64);

/** What a transfer says of itself. */
function resultOf({ exitCode, stdout, stderr }: Finished): Record<string, unknown> {
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  return JSON.parse(stdout);
}

/** All that is in a folder, by the bytes of its name. */
function contents(root: Buffer): Map<string, string> {
  const found = new Map<string, string>();
  const visit = (path: Buffer, name: string): void => {
    if (!statSync(path).isDirectory()) {
      const mode = (statSync(path).mode & 0o777).toString(8);
      found.set(name, `${mode} ${createHash("sha256").update(readFileSync(path)).digest("hex")}`);
      return;
    }
    found.set(name, "directory");
    for (const entry of readdirSync(path, { encoding: "buffer" })) {
      visit(Buffer.concat([path, Buffer.from("/"), entry]), `${name}/${entry.toString("latin1")}`);
    }
  };
  visit(root, "");
  return found;
}

const ODD_NAMES = [
  "plain",
  "with blank",
  "-n",
  "--help",
  "a\nb",
  'quo"te\\n',
  "it's $HOME `id` *",
  "\x01\x1b[2J",
  "Größe",
  "日本語",
  "\xff\xfe bytes",
  "empty",
  ".hidden",
  "x.partial",
].map((name) => Buffer.from(name, /[\xfe]/.test(name) ? "latin1" : "utf8"));

function makeOddTree(root: string): void {
  const folders = ["", "sub", "sub/deep", "-dir"].map((name) => Buffer.from(join(root, name)));
  folders.push(Buffer.from(join(root, "d\xe9"), "latin1"));
  for (const directory of folders) mkdirSync(directory, { recursive: true });
  for (const directory of folders) {
    for (const name of ODD_NAMES) {
      const text = name.toString() === "empty" ? "" : `${directory}${name}`.repeat(50);
      writeFileSync(Buffer.concat([directory, Buffer.from("/"), name]), text);
    }
  }
  chmodSync(join(root, "plain"), 0o755);
}

const kinds = await agentKinds();

describe.each(kinds.map((kind) => [kind.name, kind] as const))("against %s", (name, kind) => {
  let at: AgentAtSocket;
  const path = (file: string): string => join(folder, name, file);

  beforeAll(async () => {
    mkdirSync(join(folder, name));
    at = await startAt(folder, kind);
  });
  afterAll(() => at.agent.stop());

  test("a large file, killed in the middle, goes on from there", async () => {
    const source = path("large");
    const target = path("large.copy");
    const hash = await makeLarge(source, LARGE_MIB);
    const partial = `${target}.partial`;
    const child = Bun.spawn([...dieWithParent, ...ctlCommand("--socket", at.socket, "pull", source, target)], {
      stdout: "ignore",
      stderr: "ignore",
    });
    await waitFor(
      () => (existsSync(partial) && statSync(partial).size > (LARGE_MIB * MiB) / 4) || undefined,
      60_000,
      () => "the pull did not begin",
      1,
    );
    child.kill("SIGKILL");
    await child.exited;
    const kept = statSync(partial).size;
    expect(kept).toBeLessThan(LARGE_MIB * MiB);
    expect(existsSync(target)).toBeFalse();

    // qemu-ga ends itself when a host goes without having read everything; a service manager would start it again.
    if (name === "qemu-ga") {
      await at.agent.stop();
      at = await startAt(folder, kind);
    }
    const result = resultOf(await at.ctl("pull", source, target));
    expect(result).toMatchObject({ files: 1, resumed: kept, bytes: LARGE_MIB * MiB - kept, sha256: hash });
    expect(result.proof).toBe("checksum");
    expect(await hashOf(target)).toBe(hash);
    expect(existsSync(partial)).toBeFalse();
    rmSync(source);
    rmSync(target);
  });

  test("Ctrl-C ends a pull; the agent stays and the next pull goes on", async () => {
    const source = path("interrupted");
    const target = path("interrupted.copy");
    const hash = await makeLarge(source, 64);
    const child = Bun.spawn([...dieWithParent, ...ctlCommand("--socket", at.socket, "pull", source, target)], {
      stdout: "ignore",
      stderr: "pipe",
    });
    await waitFor(
      () => existsSync(`${target}.partial`) || undefined,
      20_000,
      () => "the pull did not begin",
      1,
    );
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
    expect(await new Response(child.stderr).text()).toContain("goes on from there");
    const kept = statSync(`${target}.partial`).size;
    expect(resultOf(await at.ctl("pull", source, target))).toMatchObject({ resumed: kept, sha256: hash });
  });

  test("what was left of another version is not taken for the beginning", async () => {
    const source = path("changed");
    const target = path("changed.copy");
    const hash = await makeLarge(source, 3);
    await makeLarge(`${target}.partial`, 2);
    expect(resultOf(await at.ctl("pull", source, target))).toMatchObject({ sha256: hash, proof: "checksum" });
    expect(await hashOf(target)).toBe(hash);
  });

  test("push, and what is sent when a part is there", async () => {
    const source = path("pushed");
    const target = path("pushed.copy");
    const hash = await makeLarge(source, 5);
    chmodSync(source, 0o640);
    const size = 5 * MiB;
    const push = async (...args: string[]) => resultOf(await at.ctl("push", ...args, source, target));
    expect(await push()).toMatchObject({ bytes: size, resumed: 0, sha256: hash, proof: "checksum" });
    expect(statSync(target).mode & 0o777).toBe(0o640);
    expect(await push()).toMatchObject({ bytes: 0, unchanged: 1 });
    truncateSync(target, 2 * MiB);
    expect(await push()).toMatchObject({ bytes: 3 * MiB, resumed: 2 * MiB, sha256: hash });
    expect(await hashOf(target)).toBe(hash);
    await makeLarge(target, 1);
    expect(await push()).toMatchObject({ bytes: size, resumed: 0 });
    await makeLarge(target, 9);
    expect(await push()).toMatchObject({ bytes: size, resumed: 0 });
    expect(await push("--restart")).toMatchObject({ bytes: size });
    expect(await hashOf(target)).toBe(hash);
    expect(statSync(target).mode & 0o777).toBe(0o640);
  });

  test("a directory with odd names, there and back", async () => {
    makeOddTree(path("tree"));
    const there = path("there");
    const back = path("back");
    const pushed = resultOf(await at.ctl("push", path("tree"), there));
    expect(pushed).toMatchObject({ files: 5 * ODD_NAMES.length, unchanged: 0, proof: "checksum" });
    expect(contents(Buffer.from(there))).toEqual(contents(Buffer.from(path("tree"))));
    const pulled = resultOf(await at.ctl("pull", there, back));
    expect(pulled).toMatchObject({ files: 5 * ODD_NAMES.length, proof: "checksum" });
    expect(contents(Buffer.from(back))).toEqual(contents(Buffer.from(path("tree"))));

    writeFileSync(path("back/sub/plain"), "other");
    rmSync(path("there/sub/plain"));
    const files = 5 * ODD_NAMES.length;
    expect(resultOf(await at.ctl("push", path("tree"), there))).toMatchObject({ files: 1 + 5, unchanged: files - 6 });
    expect(resultOf(await at.ctl("pull", there, back))).toMatchObject({ files: 1, unchanged: files - 1 });
    expect(contents(Buffer.from(back))).toEqual(contents(Buffer.from(path("tree"))));
  });

  test("no link of ours is followed when a guest has named it", async () => {
    mkdirSync(path("victim/home"), { recursive: true });
    mkdirSync(path("bait/home"), { recursive: true });
    writeFileSync(path("bait/home/passwd"), "evil");
    mkdirSync(path("trap"));
    symlinkSync(path("victim/home"), path("trap/home"));
    const { exitCode, stderr } = await at.ctl("pull", path("bait"), path("trap"));
    expect(exitCode).toBe(1);
    expect(stderr).toContain("and no directory");
    expect(readdirSync(path("victim/home"))).toEqual([]);
  });

  test("standard output and standard input", async () => {
    writeFileSync(path("note"), "hello\n");
    expect(await at.ctl("pull", path("note"), "-")).toEqual({ exitCode: 0, stdout: "hello\n", stderr: "" });
    const words = ctlCommand("--socket", at.socket, "push", "-", path("input"));
    await mustRun(["sh", "-c", 'printf "from a pipe" | "$@"', "sh", ...words]);
    expect(readFileSync(path("input"), "utf8")).toBe("from a pipe");
  });

  test("a file that the kernel makes up, and one that grows", async () => {
    expect(resultOf(await at.ctl("pull", "/proc/version", path("version")))).toMatchObject({ proof: "none" });
    expect(readFileSync(path("version"), "utf8")).toBe(readFileSync("/proc/version", "utf8"));
    writeFileSync(path("log"), "begin\n");
    const grow = "for i in $(seq 200); do head -c 100000 /dev/zero; sleep 0.01; done";
    const growing = Bun.spawn([...dieWithParent, "sh", "-c", `${grow} >>'${path("log")}'`]);
    expect(resultOf(await at.ctl("pull", path("log"), path("log.copy")))).toMatchObject({ proof: "checksum" });
    growing.kill();
    await growing.exited;
  });

  test("into a folder, and errors", async () => {
    mkdirSync(path("box"));
    await at.ctl("pull", path("note"), path("box"));
    expect(readFileSync(path("box/note"), "utf8")).toBe("hello\n");
    await at.ctl("push", path("note"), `${path("box")}/`);
    const failing = async (...args: string[]): Promise<string> => {
      const { exitCode, stderr } = await at.ctl(...args);
      expect(exitCode).toBe(1);
      expect(stderr).toMatch(/^inguest ctl: [^\n]+\n$/);
      return stderr;
    };
    expect(await failing("pull", path("missing"), path("x"))).toContain("No such file or directory");
    expect(await failing("pull", path("note"), path("missing/x"))).toContain("ENOENT");
    expect(await failing("push", path("missing"), path("x"))).toContain("ENOENT");
    expect(await failing("push", path("note"), path("missing/x"))).toContain("No such file or directory");
    expect(existsSync(path("x.partial"))).toBeFalse();
  });

  test("without guest-exec everything is read again", async () => {
    await at.agent.stop();
    at = await startAt(folder, kind, "-b", "guest-exec");
    const hash = await makeLarge(path("alone"), 2);
    expect(resultOf(await at.ctl("pull", path("alone"), path("alone.copy")))).toMatchObject({
      proof: "reread",
      sha256: hash,
    });
    const { exitCode, stdout, stderr } = await at.ctl("push", path("alone"), path("alone.pushed"));
    expect(exitCode).toBe(0);
    expect(stderr).toContain("no shell in the guest for us");
    expect(JSON.parse(stdout)).toMatchObject({ proof: "reread", sha256: hash });
    expect(await hashOf(path("alone.pushed"))).toBe(hash);
    expect((await at.ctl("push", folder, path("tree2"))).stderr).toContain("a directory needs guest-exec");
  });

  test("a progress bar on a terminal", async () => {
    await makeLarge(path("shown"), 32);
    const words = ctlCommand("--socket", at.socket, "pull", path("shown"), path("shown.copy")).join(" ");
    const { stdout } = await run(["script", "-qec", words, "/dev/null"]);
    expect(stdout).toMatch(
      /\x1b\[Kshown +\d+% \[=*>? *\] [\d.]+ [KM]?i?B\/32\.0 MiB {2}[\d.]+ [KMG]?i?B\/s {2}ETA \d:\d\d\r/,
    );
    expect(stdout).toMatch(
      /shown: 32\.0 MiB in 0:\d\d, [\d.]+ MiB\/s; (checksum verified|verified by reading it again)/,
    );
  });
});
