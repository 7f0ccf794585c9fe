/** authorized_keys of a real account: modes, owners, and whatever its owner may try while root writes there. */

import { afterAll, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readAuthorizedKeys, writeAuthorizedKeys } from "../../platform/linux/ssh-keys.ts";
import { inguestCommand, startAgent } from "../lab/agent.ts";
import { availabilityOf, describeWith } from "../lab/apt.ts";
import { obtainPeer, type Peer } from "../lab/peer.ts";
import { dieWithParent, mustRun } from "../lab/process.ts";
import { connect, type Json } from "../lab/qga-client.ts";
import { makeUser, type ScratchUser, scratchUsers } from "./scratch-user.ts";

setDefaultTimeout(60_000);

const modeOf = (path: string): string => (lstatSync(path).mode & 0o7777).toString(8);
const ownerOf = (path: string): string => `${lstatSync(path).uid}:${lstatSync(path).gid}`;
const codeOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    return error instanceof Error && "code" in error && "call" in error ? `${error.call} ${error.code}` : String(error);
  }
  return "done";
};

describeWith("authorized_keys", scratchUsers, () => {
  let user: ScratchUser;
  let outside: string;
  let directory: string;
  let file: string;
  const key = Buffer.from("ssh-ed25519 AAAA one\n");

  const asUser = (path: string): void => chownSync(path, user.uid, user.gid);
  const makeDirectory = (): void => {
    mkdirSync(directory, { mode: 0o700 });
    asUser(directory);
  };

  beforeAll(async () => {
    user = await makeUser("inguest-keys");
    outside = await mkdtemp(join(tmpdir(), "inguest-keys-"));
    directory = join(user.home, ".ssh");
    file = join(directory, "authorized_keys");
  });
  afterAll(async () => {
    await user?.[Symbol.asyncDispose]();
    await rm(outside, { recursive: true, force: true });
  });
  beforeEach(() => {
    rmSync(directory, { recursive: true, force: true });
    chownSync(user.home, user.uid, user.gid);
    chmodSync(user.home, 0o755);
  });

  test("are made with the modes and owner that sshd asks for, whatever the umask", () => {
    const umask = process.umask(0o277);
    try {
      writeAuthorizedKeys(user.name, key);
    } finally {
      process.umask(umask);
    }
    expect([modeOf(directory), ownerOf(directory)]).toEqual(["700", `${user.uid}:${user.gid}`]);
    expect([modeOf(file), ownerOf(file)]).toEqual(["600", `${user.uid}:${user.gid}`]);
    expect(readFileSync(file)).toEqual(key);
    expect(readdirSync(directory)).toEqual(["authorized_keys"]);
    expect(Buffer.from(readAuthorizedKeys(user.name))).toEqual(key);
  });

  test("are made in a home that belongs to root, too", () => {
    chownSync(user.home, 0, 0);
    writeAuthorizedKeys(user.name, key);
    expect([modeOf(directory), ownerOf(directory)]).toEqual(["700", `${user.uid}:${user.gid}`]);
    expect([modeOf(file), ownerOf(file)]).toEqual(["600", `${user.uid}:${user.gid}`]);
    writeAuthorizedKeys(user.name, Buffer.from("ssh-ed25519 AAAA two\n"));
    expect(Buffer.from(readAuthorizedKeys(user.name)).toString()).toBe("ssh-ed25519 AAAA two\n");
  });

  test("a directory of root in the user's home serves as well", () => {
    mkdirSync(directory, { mode: 0o755 });
    writeAuthorizedKeys(user.name, key);
    expect([ownerOf(directory), ownerOf(file)]).toEqual(["0:0", `${user.uid}:${user.gid}`]);
    expect(Buffer.from(readAuthorizedKeys(user.name))).toEqual(key);
  });

  test("what is not there is ENOENT: user, file, directory", () => {
    expect(codeOf(() => readAuthorizedKeys("inguest-nobody"))).toBe("getpwnam ENOENT");
    expect(codeOf(() => readAuthorizedKeys("root\0x"))).toBe("getpwnam ENOENT");
    expect(codeOf(() => readAuthorizedKeys(user.name))).toBe("read ENOENT");
    makeDirectory();
    expect(codeOf(() => readAuthorizedKeys(user.name))).toBe("read ENOENT");
  });

  test("a symbolic link in place of the file is refused, and what it leads to stays as it is", () => {
    makeDirectory();
    const target = join(outside, "target");
    writeFileSync(target, "root:x:0:0\n", { mode: 0o644 });
    symlinkSync(target, file);
    expect(codeOf(() => readAuthorizedKeys(user.name))).toBe("read ELOOP");
    expect(codeOf(() => writeAuthorizedKeys(user.name, key))).toBe("write ELOOP");
    expect(readFileSync(target, "utf8")).toBe("root:x:0:0\n");
    expect(ownerOf(target)).toBe("0:0");
    expect(lstatSync(file).isSymbolicLink()).toBe(true);
  });

  test("a symbolic link in place of the directory is refused, dangling or not", () => {
    const target = join(outside, "elsewhere");
    symlinkSync(target, directory);
    expect(codeOf(() => writeAuthorizedKeys(user.name, key))).toBe("write ELOOP");
    mkdirSync(target);
    expect(codeOf(() => readAuthorizedKeys(user.name))).toBe("read ELOOP");
    expect(codeOf(() => writeAuthorizedKeys(user.name, key))).toBe("write ELOOP");
    expect(readdirSync(target)).toEqual([]);
    expect(ownerOf(target)).toBe("0:0");
  });

  test("files of others are not read: by hard link, or because they were put there", () => {
    makeDirectory();
    const secret = join(user.home, "secret");
    writeFileSync(secret, "secret\n", { mode: 0o600 });
    linkSync(secret, file);
    // It belongs to root and lies in the user's directory: only what the user could read counts.
    expect(codeOf(() => readAuthorizedKeys(user.name))).toBe("read EACCES");
    chmodSync(secret, 0o640);
    expect(codeOf(() => readAuthorizedKeys(user.name))).toBe("read EACCES");
    chownSync(secret, user.uid + 1, user.gid);
    expect(codeOf(() => readAuthorizedKeys(user.name))).toBe("read EPERM");
    expect(codeOf(() => writeAuthorizedKeys(user.name, key))).toBe("write EPERM");
    rmSync(secret);
  });

  test("what is no file is refused at once, a pipe too", async () => {
    makeDirectory();
    mkdirSync(file);
    expect(codeOf(() => readAuthorizedKeys(user.name))).toBe("read EINVAL");
    expect(codeOf(() => writeAuthorizedKeys(user.name, key))).toBe("write EINVAL");
    rmSync(file, { recursive: true });
    await mustRun(["mkfifo", file]);
    expect(codeOf(() => readAuthorizedKeys(user.name))).toBe("read EINVAL");
  });

  test("a file without end is refused", () => {
    makeDirectory();
    writeFileSync(file, "");
    asUser(file);
    Bun.spawnSync(["truncate", "-s", "1T", file]);
    expect(codeOf(() => readAuthorizedKeys(user.name))).toBe("read EFBIG");
  });

  test("the agent is root again afterwards, and after a failure", () => {
    const identity = (): string[] =>
      ["Uid", "Gid", "Groups", "CapEff"].map(
        (name) => new RegExp(`^${name}:(.*)$`, "m").exec(readFileSync("/proc/thread-self/status", "utf8"))?.[1] ?? "",
      );
    const before = identity();
    writeAuthorizedKeys(user.name, key);
    rmSync(file);
    mkdirSync(file);
    expect(codeOf(() => writeAuthorizedKeys(user.name, key))).toBe("write EINVAL");
    expect(identity()).toEqual(before);
  });

  test("no swapping of directories while root writes gets a file of root's, or one elsewhere", async () => {
    const target = join(outside, "race");
    mkdirSync(target);
    writeFileSync(join(target, "authorized_keys"), "mine\n");
    symlinkSync(target, join(user.home, "link"));
    makeDirectory();
    // The user exchanges ~/.ssh with a link as fast as it can: renameat2(2) with RENAME_EXCHANGE.
    const call = process.arch === "arm64" ? 276 : 316;
    const script = `chdir "${user.home}"; my ($a, $b) = ("link", ".ssh"); while (1) { syscall(${call}, -100, $a, -100, $b, 2) }`;
    const become = ["setpriv", `--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups"];
    const racer = Bun.spawn([...become, ...dieWithParent, "perl", "-e", script]);
    const outcomes = new Map<string, number>();
    try {
      const end = performance.now() + 3000;
      while (performance.now() < end) {
        const outcome = codeOf(() => writeAuthorizedKeys(user.name, key));
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
    } finally {
      racer.kill("SIGKILL");
      await racer.exited;
    }
    expect(outcomes.get("done")).toBeGreaterThan(0);
    expect(outcomes.get("write ELOOP")).toBeGreaterThan(0);
    expect(readdirSync(target)).toEqual(["authorized_keys"]);
    expect(readFileSync(join(target, "authorized_keys"), "utf8")).toBe("mine\n");
    expect(ownerOf(target)).toBe("0:0");
  });
});

const peerReady = scratchUsers.available ? await availabilityOf(obtainPeer) : scratchUsers;

describeWith("guest-ssh-* beside the real agent", peerReady, () => {
  /** What an agent answers to a list of requests, and what it leaves in the home of a fresh user. */
  async function play(command: readonly string[]): Promise<unknown> {
    await using user = await makeUser("inguest-peer");
    const state = await mkdtemp(join(tmpdir(), "inguest-ssh-"));
    const socketPath = join(state, "socket");
    const agent = await startAgent(command, { socketPath, stateDir: state });
    const client = await connect(socketPath);
    const log: unknown[] = [];
    const ask = async (name: string, args: { [key: string]: Json }): Promise<void> => {
      const reply = await client
        .call(`guest-ssh-${name}-authorized-keys`, { username: user.name, ...args })
        .catch((error: unknown) => String(error));
      log.push(reply);
    };
    try {
      await ask("get", {});
      await ask("remove", { keys: ["nothing"] });
      await ask("add", { keys: ["# comment"] });
      await ask("add", { keys: ["two\nlines"] });
      await ask("add", { keys: ["ssh-rsa AAAA first", "ssh-rsa BBBB second"] });
      await ask("get", {});
      await ask("add", { keys: ["ssh-rsa BBBB second", "ssh-rsa CCCC drittes äöü", "ssh-rsa CCCC drittes äöü"] });
      await ask("get", {});
      await ask("remove", { keys: ["ssh-rsa AAAA first", "ssh-rsa ZZZZ"] });
      await ask("get", {});
      await ask("add", { keys: ["ssh-rsa DDDD"], reset: true });
      await ask("get", {});
      const path = join(user.home, ".ssh");
      writeFileSync(join(path, "authorized_keys"), "# comment\n\n  ssh-rsa EEEE  \r\nssh-rsa FFFF\n");
      await ask("get", {});
      await ask("add", { keys: [], reset: true });
      await ask("get", {});
      const left = [path, join(path, "authorized_keys")].map((each) => [
        modeOf(each),
        lstatSync(each).uid === user.uid,
        lstatSync(each).gid === user.gid,
      ]);
      return { log, left, names: readdirSync(path) };
    } finally {
      client.close();
      await agent.stop();
      await rm(state, { recursive: true, force: true });
    }
  }

  test("the same requests have the same answers and leave the same files", async () => {
    const peer: Peer = await obtainPeer();
    const theirs = await play(peer.command);
    const ours = await play(inguestCommand);
    expect(ours).toEqual(theirs);
  });
});
