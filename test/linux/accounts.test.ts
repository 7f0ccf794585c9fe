/** Passwords of a real account, tried by a real login. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chpasswdCommand } from "../../platform/linux/accounts.ts";
import { describeLogin, lastLogin } from "../../platform/linux/last-login.ts";
import { inguestCommand, startAgent } from "../lab/agent.ts";
import { availabilityOf, describeWith } from "../lab/apt.ts";
import { obtainPeer } from "../lab/peer.ts";
import { mustRun } from "../lab/process.ts";
import { connect, type QgaClient } from "../lab/qga-client.ts";
import { makeUser, scratchUsers } from "./scratch-user.ts";

setDefaultTimeout(60_000);

/** The hash in /etc/shadow. */
async function hashOf(name: string): Promise<string> {
  const shadow = await Bun.file("/etc/shadow").text();
  return new RegExp(`^${name}:([^:]*):`, "m").exec(shadow)?.[1] ?? "";
}

/** Whether the password opens a session: su(1) asks for it, since nobody is not root. */
async function canLogIn(name: string, password: string | Buffer): Promise<boolean> {
  const su = Bun.spawn(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "su", name, "-c", "id -un"], {
    stdin: Buffer.concat([Buffer.from(password), Buffer.from("\n")]),
    stdout: "pipe",
    stderr: "ignore",
    cwd: "/",
  });
  return (await new Response(su.stdout).text()).trim() === name;
}

/** Runs an agent of this machine for as long as `action` lasts. */
async function withAgent<T>(command: readonly string[], action: (client: QgaClient) => Promise<T>): Promise<T> {
  const stateDir = await mkdtemp(join(tmpdir(), "inguest-accounts-"));
  const socketPath = join(stateDir, "socket");
  const agent = await startAgent(command, { socketPath, stateDir });
  const client = await connect(socketPath);
  try {
    return await action(client);
  } finally {
    client.close();
    await agent.stop();
    await rm(stateDir, { recursive: true, force: true });
  }
}

const setPassword = (client: QgaClient, username: string, password: string | Buffer, crypted = false) =>
  client.call("guest-set-user-password", { username, password: Buffer.from(password).toString("base64"), crypted });

describeWith("guest-set-user-password", scratchUsers, () => {
  test("plain and crypted passwords log in, and the ones before them do not", async () => {
    await using user = await makeUser("inguest-login");
    await withAgent(inguestCommand, async (client) => {
      expect(await canLogIn(user.name, "plain: pässword ' $x")).toBe(false);
      expect(await setPassword(client, user.name, "plain: pässword ' $x")).toEqual({});
      expect(await canLogIn(user.name, "plain: pässword ' $x")).toBe(true);
      expect(await canLogIn(user.name, "plain: pässword ' $y")).toBe(false);

      const hash = await mustRun(["perl", "-e", "print crypt('other', '$6$saltsalt$')"]);
      expect(hash).toStartWith("$6$saltsalt$");
      expect(await setPassword(client, user.name, hash, true)).toEqual({});
      expect(await hashOf(user.name)).toBe(hash);
      expect(await canLogIn(user.name, "other")).toBe(true);
      expect(await canLogIn(user.name, "plain: pässword ' $x")).toBe(false);

      // Bytes that are no UTF-8 arrive as they are.
      const bytes = Buffer.of(0xe9, 0x80, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46);
      expect(await setPassword(client, user.name, bytes)).toEqual({});
      expect(await canLogIn(user.name, bytes)).toBe(true);
    });
  });

  test("what would set another password than the one meant is refused, and changes nothing", async () => {
    await using user = await makeUser("inguest-login");
    await withAgent(inguestCommand, async (client) => {
      await setPassword(client, user.name, "before");
      const before = await hashOf(user.name);
      const refused: [string, string | Buffer, string][] = [
        [user.name, "two\nlines", "forbidden characters in raw password"],
        [user.name, "half\0", "forbidden characters in raw password"],
        [`${user.name}:x`, "secret", "forbidden characters in username"],
        [`x\n${user.name}`, "secret", "forbidden characters in username"],
      ];
      for (const [name, password, desc] of refused) {
        await expect(setPassword(client, name, password)).rejects.toMatchObject({ class: "GenericError", desc });
      }
      await expect(
        client.call("guest-set-user-password", { username: user.name, password: "%%", crypted: false }),
      ).rejects.toMatchObject({ desc: expect.stringContaining("Base64") });
      expect(await hashOf(user.name)).toBe(before);
    });
  });
});

const peerReady = scratchUsers.available ? await availabilityOf(obtainPeer) : scratchUsers;

describeWith("guest-set-user-password beside the real agent", peerReady, () => {
  test("the same requests have the same answers", async () => {
    const play = async (command: readonly string[]): Promise<unknown[]> => {
      await using user = await makeUser("inguest-login");
      return withAgent(command, async (client) => {
        const log: unknown[] = [];
        const attempt = async (name: string, password: string, crypted: boolean): Promise<void> => {
          log.push(await setPassword(client, name, password, crypted).catch((error: unknown) => String(error)));
        };
        await attempt(user.name, "plain", false);
        log.push(await canLogIn(user.name, "plain"));
        await attempt(user.name, "*", true);
        log.push(await hashOf(user.name));
        await attempt("inguest-nobody", "plain", false);
        await attempt("inguest-nobody", "*", true);
        await attempt("", "plain", false);
        await attempt("a:b", "plain", false);
        await attempt(user.name, "a\nb", false);
        return log;
      });
    };
    const theirs = await play((await obtainPeer()).command);
    expect(await play(inguestCommand)).toEqual(theirs);
  });
});

test("chpasswd is called as the one that is installed wants it", () => {
  const commandIn = (crypted: boolean, installed: Record<string, string>): string[] =>
    chpasswdCommand(
      crypted,
      (...names) => names.find((name) => name in installed)?.replace(/^/, "/sbin/"),
      (file) => installed[file.replace("/sbin/", "")] ?? "",
    );
  const shadow = { chpasswd: "chpasswd", busybox: "busybox" };
  expect(commandIn(false, shadow)).toEqual(["/sbin/chpasswd"]);
  expect(commandIn(true, shadow)).toEqual(["/sbin/chpasswd", "-e"]);
  const links = { chpasswd: "busybox", busybox: "busybox" };
  expect(commandIn(false, links)).toEqual(["/sbin/chpasswd", "-c", "sha512"]);
  expect(commandIn(true, links)).toEqual(["/sbin/chpasswd", "-e"]);
  const bare = { busybox: "busybox" };
  expect(commandIn(false, bare)).toEqual(["/sbin/busybox", "chpasswd", "-c", "sha512"]);
  expect(commandIn(true, bare)).toEqual(["/sbin/busybox", "chpasswd", "-e"]);
  expect(commandIn(false, {})).toEqual(["chpasswd"]);
});

test("the last login is one line, or empty", async () => {
  const size = process.arch === "x64" ? 384 : 400;
  const record = (type: number, seconds: number): Buffer => {
    const bytes = Buffer.alloc(size);
    bytes.writeInt16LE(type);
    bytes.write("pts/0", 8);
    bytes.write("root", 44);
    bytes.write("192.0.2.7", 76);
    bytes.writeUInt32LE(seconds, process.arch === "x64" ? 340 : 344);
    return bytes;
  };
  expect(describeLogin(record(8, 0))).toBeUndefined();
  const folder = await mkdtemp(join(tmpdir(), "inguest-wtmp-"));
  const path = join(folder, "wtmp");
  expect(lastLogin(path)).toBe("");
  await Bun.write(path, Buffer.concat([record(7, 1), record(7, 86_400), record(8, 90_000), Buffer.alloc(17)]));
  expect(lastLogin(path)).toBe("root pts/0 192.0.2.7 1970-01-02T00:00:00.000Z");
  await rm(folder, { recursive: true });
});
