/** The commands of BCLinux hosts: each example of their protocol, asked of a running agent that may change its own /etc. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { hostname, release, version } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { changeHostname, changePassword } from "../../src/dialect/qga/bclinux/actions.ts";
import { getDiskStatus, getMemoryStatus, getOomStatus, getSystemInfo } from "../../src/dialect/qga/bclinux/status.ts";
import { BCLINUX_COMMANDS } from "../../src/dialect/qga/bclinux.ts";
import { type Guest, ProgramError, SystemError } from "../../src/guest.ts";
import { inguestCommand, type RunningAgent, startAgent } from "../lab/agent.ts";
import { availabilityOf, describeWith } from "../lab/apt.ts";
import { mustRun, waitFor } from "../lab/process.ts";
import { AgentError, connect, isObject, type Json, parseJson, type QgaClient } from "../lab/qga-client.ts";

const available = await availabilityOf(() => mustRun(["unshare", "--uts", "--mount", "--net", "true"]));

/** The socket is there before it listens. */
const connectSoon = (path: string): Promise<QgaClient> =>
  waitFor(
    () => connect(path).catch(() => undefined),
    5_000,
    () => `no connection to ${path}`,
  );

const folder = mkdtempSync("/tmp/inguest-bclinux-");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** In namespaces of its own, with a copy of /etc. */
const APART = [
  ...["unshare", "--uts", "--mount", "--net", "sh", "-ec"],
  `cp -a /etc ${folder}/etc; mount --bind ${folder}/etc /etc; exec "$0" "$@"`,
];

const NAMES = BCLINUX_COMMANDS.map(({ name }) => name);
/** Those that are off until they are enabled by name. */
const GUARDED = ["guest-user-check", "change-hostname", "change-password"];

describeWith("an agent with --dialect bclinux", available, () => {
  let agent: RunningAgent;
  let client: QgaClient;

  beforeAll(async () => {
    const socketPath = join(folder, "agent.sock");
    agent = await startAgent([...APART, ...inguestCommand], {
      socketPath,
      stateDir: join(folder, "state"),
      args: ["--dialect", "bclinux", "--enable-rpcs", GUARDED.join(","), "--command-timeout", "2", "--verbose"],
    });
    client = await connectSoon(socketPath);
    await client.sync();
  });
  afterAll(async () => {
    client?.close();
    await agent?.stop();
  });

  /** The reply, held against what the command declares. */
  async function call(execute: string, args?: Json): Promise<{ [key: string]: Json }> {
    const reply = await client.call(execute, args);
    const returns = BCLINUX_COMMANDS.find(({ name }) => name === execute)?.returns;
    if (returns !== undefined) v.parse(returns, reply);
    if (!isObject(reply)) throw new Error(`${execute}: ${JSON.stringify(reply)}`);
    return reply;
  }

  const raw = async (text: string): Promise<Json> => parseJson(Buffer.from(await client.raw(text)).toString("utf8"));

  test("guest-info lists them, enabled", async () => {
    const { supported_commands: list } = await call("guest-info");
    const enabled = (Array.isArray(list) ? list : []).filter((it) => isObject(it) && it.enabled === true);
    expect(enabled.map((it) => (isObject(it) ? it.name : ""))).toEqual(
      expect.arrayContaining([...NAMES, "guest-ping"]),
    );
  });

  test("memory", async () => {
    const reply = await raw('{"execute":"guest-get-memory-status"}');
    const meminfo = readFileSync("/proc/meminfo", "utf8");
    const mebibytes = (name: string) =>
      Math.floor(Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(meminfo)?.[1]) / 1024);
    const { return: status } = isObject(reply) ? reply : {};
    expect(Object.keys(isObject(status) ? status : {})).toEqual(["total", "used", "buffer", "cached", "swap"]);
    expect(status).toMatchObject({
      total: mebibytes("MemTotal"),
      swap: { total: mebibytes("SwapTotal"), used: mebibytes("SwapTotal") - mebibytes("SwapFree") },
    });
    const { used } = isObject(status) ? status : {};
    expect(Math.abs(Number(used) - (mebibytes("MemTotal") - mebibytes("MemFree")))).toBeLessThan(200);
  });

  test("system", async () => {
    const status = await call("guest-get-system-info");
    expect(Object.keys(status)).toEqual(["os-name", "kernel-version", "system-version", "fqdn", "lastlogin"]);
    expect(status).toMatchObject({ "os-name": "Linux", "kernel-version": release(), "system-version": version() });
    expect(String(status.fqdn)).toStartWith(hostname());
  });

  test("want of memory", async () => {
    const kills = Number(/^oom_kill (\d+)/m.exec(readFileSync("/proc/vmstat", "utf8"))?.[1] ?? 0);
    expect(await raw('{"execute":"guest-get-oom-status"}')).toEqual({
      return: { "oom-happened": kills > 0 ? "true" : "false" },
    });
  });

  test("processes", async () => {
    const { appStatus } = await call("guest-get-app-status");
    expect(String(appStatus)).toMatch(/^top - \d\d:\d\d:\d\d up .*load average: /);
    expect(String(appStatus)).toMatch(/\n +1 root /);
  });

  test("disks", async () => {
    const status = await call("guest-get-disk-status");
    for (const [mountpoint, disk] of Object.entries(status)) {
      if (!isObject(disk)) throw new Error(mountpoint);
      const [total, used] = (await mustRun(["df", "-B1", "--output=size,used", mountpoint]))
        .split("\n")[1]!
        .trim()
        .split(/\s+/);
      expect(disk.total).toBe(Math.floor(Number(total) / 1024 ** 2));
      expect(Math.abs(Number(disk.used) - Number(used) / 1024 ** 2)).toBeLessThan(100);
      expect(disk.writable).toBeBoolean();
    }
  });

  test("a check of the user's", async () => {
    const request =
      '{"execute":"guest-user-check", "arguments": {"command-name":"list", "command":"ls -l /etc/hostname"}}';
    expect(await raw(request)).toEqual({
      return: {
        list: await mustRun(["ls", "-l", join(folder, "etc/hostname")]).then((text) =>
          text.trimEnd().replace(`${folder}/etc`, "/etc"),
        ),
      },
    });
  });

  test.each([
    ["nothing printed", "true", ""],
    ["only standard output", "echo out; echo err >&2", "out"],
    ["a failing one", "echo before; exit 3", "before"],
    ["one that a signal ends", "echo before; kill -9 $$", "before"],
    ["an unknown program", "no-such-program-here", ""],
    ["pipes and quotes", `printf '%s' "a'b" | tr a-z A-Z`, "A'B"],
    ["bytes that are no text", "printf 'x\\377y'", "x\ufffdy"],
    ["no standard input", "cat", ""],
    ["much", "yes | head -c 3000000", "y\n".repeat(1_500_000).slice(0, -1)],
    ["a newline, and one more", "echo; echo", "\n"],
  ])("check: %s", async (_name, command, output) => {
    expect(await call("guest-user-check", { "command-name": "c", command })).toEqual({ c: output });
  });

  test.each(["__proto__", "", 'a"b', "1"])("a check by the name %j", async (name) => {
    const reply = await call("guest-user-check", { "command-name": name, command: "echo 1" });
    expect(Object.entries(reply)).toEqual([[name, "1"]]);
  });

  test("other requests wait for a check, and are answered in order", async () => {
    client.send("guest-user-check", { "command-name": "c", command: "sleep 0.3; echo done" });
    client.send("guest-ping");
    expect([await client.line(), await client.line()]).toEqual(['{"return": {"c": "done"}}', '{"return": {}}']);
  });

  test("a check ends at the time limit, with all that it has started", async () => {
    const started = performance.now();
    // A shell replaces itself by its last command: this one has a child that holds the pipe.
    const check = call("guest-user-check", { "command-name": "c", command: "sleep 27.5 & sleep 27.5; echo" });
    await expect(check).rejects.toThrow("the command was killed after 2 seconds");
    expect(performance.now() - started).toBeLessThan(9000);
    expect(await mustRun(["ps", "-eo", "args"])).not.toContain("sleep 27.5");
  }, 15_000);

  test("a check that a C program would cut short", async () => {
    const check = call("guest-user-check", { "command-name": "c", command: "echo a\0b" });
    await expect(check).rejects.toThrow("the command contains a NUL character");
  });

  test("a check without its command", async () => {
    await expect(call("guest-user-check", { "command-name": "c" })).rejects.toThrow("Parameter 'command' is missing");
  });

  const named = async (path: string) =>
    mustRun(["nsenter", "--target", String(agent.pid), "--mount", "--uts", ...path.split(" ")]);

  test("host name", async () => {
    expect(await raw('{"execute":"change-hostname", "arguments": {"new-hostname":"name1"}}')).toEqual({
      return: { errnum: 0 },
    });
    expect(await named("hostname")).toBe("name1\n");
    expect(await named("cat /etc/hostname")).toBe("name1\n");
    expect(await client.call("guest-get-host-name")).toEqual({ "host-name": "name1" });
  });

  test.each(["", "a b", "a\nb", "a/b", "\u0007", "x".repeat(65)])("no host name: %j", async (name) => {
    expect(await call("change-hostname", { "new-hostname": name })).toEqual({ errnum: 22 });
    expect(await named("hostname")).toBe("name1\n");
  });

  /** Whether the password is the one that shadow(5) has a hash of. */
  const isPassword = async (password: string): Promise<boolean> => {
    const script =
      "($hash) = map { (split /:/)[1] } grep { /^root:/ } <>; print crypt($ENV{P}, $hash) eq $hash ? 1 : 0";
    return (await mustRun(["perl", "-e", script, join(folder, "etc/shadow")], { env: { P: password } })) === "1";
  };

  test("root's password", async () => {
    expect(await isPassword("123456")).toBe(false);
    expect(await raw('{"execute":"change-password", "arguments": {"new-password":"123456"}}')).toEqual({
      return: { errnum: 0 },
    });
    expect(await isPassword("123456")).toBe(true);
    const odd = "a:b'\"$(reboot)\\ \u00fc";
    expect(await call("change-password", { "new-password": odd })).toEqual({ errnum: 0 });
    expect(await isPassword(odd)).toBe(true);
    expect(await agent.log()).not.toContain("123456");
  });

  test.each(["", "a\nroot:b", "a\0b"])("no password: %j", async (password) => {
    const before = readFileSync(join(folder, "etc/shadow"), "utf8");
    expect(await call("change-password", { "new-password": password })).toEqual({ errnum: 22 });
    expect(readFileSync(join(folder, "etc/shadow"), "utf8")).toBe(before);
  });
});

describeWith("an agent with --dialect bclinux and nothing else", available, () => {
  test("keeps off what runs a shell or changes who the guest is", async () => {
    const socketPath = join(folder, "guarded.sock");
    const args = ["--dialect", "bclinux"];
    const agent = await startAgent(inguestCommand, { socketPath, stateDir: join(folder, "guarded"), args });
    const client = await connectSoon(socketPath);
    try {
      const info = await client.call("guest-info");
      const list =
        isObject(info) && Array.isArray(info.supported_commands) ? info.supported_commands.filter(isObject) : [];
      const off = list.filter(({ enabled }) => enabled === false).map(({ name }) => String(name));
      expect(off.toSorted()).toEqual(GUARDED.toSorted());
      for (const name of GUARDED) {
        const text = `Command ${name} has been disabled: the command is not allowed`;
        expect(await client.call(name).catch((error: unknown) => error)).toEqual(
          new AgentError("CommandNotFound", text),
        );
      }
    } finally {
      client.close();
      await agent.stop();
    }
  });
});

describeWith("an agent without it", available, () => {
  test("knows none of the commands", async () => {
    const socketPath = join(folder, "plain.sock");
    const agent = await startAgent(inguestCommand, { socketPath, stateDir: join(folder, "plain") });
    const client = await connectSoon(socketPath);
    try {
      for (const name of NAMES) {
        const failure = await client.call(name).catch((error: unknown) => error);
        expect(failure).toEqual(new AgentError("CommandNotFound", `The command ${name} has not been found`));
      }
    } finally {
      client.close();
      await agent.stop();
    }
  });
});

describe("guests that this machine is not", () => {
  type Parts = { -readonly [Part in keyof Guest]?: unknown };
  const run = (command: { run(values: never, agent: never): unknown }, values: unknown, guest: Parts): unknown =>
    command.run(values as never, { guest } as never);

  const memory = {
    total: 2048 * 1024 + 1023,
    free: 1024 * 1024 - 1,
    buffers: 5 * 1024,
    cached: 7 * 1024,
    swapTotal: 0,
    swapFree: 0,
  };

  test("memory: each figure is cut to whole MiB first", () => {
    expect(run(getMemoryStatus, {}, { statistics: { memory: () => memory } })).toEqual({
      total: 2048,
      used: 1025,
      buffer: 5,
      cached: 7,
      swap: { total: 0, used: 0 },
    });
  });

  test.each([
    [0, "false"],
    [1, "true"],
    [17, "true"],
  ])("%d kills for want of memory", (oomKills, happened) => {
    expect(run(getOomStatus, {}, { statistics: { memory: () => ({ ...memory, oomKills }) } })).toEqual({
      "oom-happened": happened,
    });
  });

  test("a guest that knows nothing of itself", () => {
    const guest: Parts = { os: "windows", identity: { osInfo: () => ({}), fqdn: () => "pc" } };
    expect(run(getSystemInfo, {}, guest)).toEqual({
      "os-name": "Windows",
      "kernel-version": "",
      "system-version": "",
      fqdn: "pc",
      lastlogin: "",
    });
  });

  test("disks: read-only, without sizes, larger than 2^53 bytes", () => {
    const disk = (mountpoint: string, rest: object) => ({ mountpoint, readOnly: false, ...rest });
    const filesystems = () => [
      disk("/", { totalBytesPrivileged: 3n * 2n ** 20n - 1n, usedBytes: 2n ** 20n }),
      disk("/media/cd rom", { readOnly: true, totalBytesPrivileged: 700n * 2n ** 20n, usedBytes: 700n * 2n ** 20n }),
      disk("/unknown", {}),
      disk("/huge", { totalBytesPrivileged: 2n ** 60n, usedBytes: 0n }),
    ];
    expect(run(getDiskStatus, {}, { storage: { filesystems } })).toEqual({
      "/": { total: 2, used: 1, writable: true },
      "/media/cd rom": { total: 700, used: 700, writable: false },
      "/unknown": { writable: true },
      "/huge": { total: 2 ** 40, used: 0, writable: true },
    });
  });

  test.each([
    ["a failed call", new SystemError("sethostname", "EPERM", "Operation not permitted"), 1],
    ["an unknown code", new SystemError("SetComputerNameEx", "ERROR_X", "?"), 5],
    ["a program that is not there", new ProgramError("chpasswd", new SystemError("posix_spawn", "ENOENT", "?"), ""), 2],
    ["a program that failed", new ProgramError("chpasswd", { exitCode: 1 }, "no"), 5],
  ])("error numbers: %s", async (_name, error, errnum) => {
    const fail = () => {
      throw error;
    };
    const guest: Parts = { os: "linux", accounts: { setHostName: fail, setPassword: async () => fail() } };
    expect(await run(changeHostname, { "new-hostname": "x" }, guest)).toEqual({ errnum });
    expect(await run(changePassword, { "new-password": "x" }, guest)).toEqual({ errnum });
  });

  test("on Windows it is the Administrator's password", async () => {
    const calls: unknown[] = [];
    const setPassword = async (...args: unknown[]): Promise<void> => void calls.push(args);
    expect(await run(changePassword, { "new-password": "x" }, { os: "windows", accounts: { setPassword } })).toEqual({
      errnum: 0,
    });
    expect(calls).toEqual([["Administrator", Buffer.from("x"), false]]);
  });
});
