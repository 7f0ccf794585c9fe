/** oVirt: each message and command, by what goes over the wire; vdsm's parser is not to be had as a package. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { guest } from "../../platform/linux/guest.ts";
import type { Message } from "../../src/dialect/ovirt/message.ts";
import { completion, echo } from "../../src/dialect/ovirt/messages/answers.ts";
import { OVIRT_COMMANDS, REGULAR_MESSAGES } from "../../src/dialect/ovirt/table.ts";
import { sayUninstalled } from "../../src/dialect/ovirt/uninstalled.ts";
import { AttemptsError, type Guest, type LoggedInUser, type SessionEvent } from "../../src/guest.ts";
import { onLoop } from "../lab/on-loop.ts";
import { mustRun, waitFor } from "../lab/process.ts";
import { isObject, type Json } from "../lab/qga-client.ts";
import { type Talk, type TalkOptions, talk } from "./conversation.ts";

let folder: string;
let host: Talk;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "inguest-ovirt-"));
});

afterEach(async () => {
  host.end();
  await rm(folder, { recursive: true, force: true });
});

const configFile = (): string => join(folder, "ovirt-guest-agent.conf");

/** Starts a host's conversation with what the agent says at its start thrown away. */
function begin(options: TalkOptions = {}): void {
  const paths = { ...guest.paths, ovirtConfigFile: configFile(), ovirtHooks: join(folder, "hooks.d") };
  host = talk("ovirt", { ...options, guest: { paths, ...options.guest } });
}

const names = (lines: readonly { readonly [member: string]: Json }[]): Json[] =>
  lines.map((line) => line.__name__ ?? null);

/** Serves the loop until so many lines, or one of a name, were heard; gives all of them. */
async function listen(done: (lines: { readonly [member: string]: Json }[]) => boolean, timeoutMs = 4_000) {
  const lines: { readonly [member: string]: Json }[] = [];
  return onLoop(() =>
    waitFor(
      () => {
        lines.push(...host.heard());
        return done(lines) ? lines : undefined;
      },
      timeoutMs,
      () => `heard only ${names(lines).join(", ")}; logged ${host.logged.join(", ")}`,
      2,
    ),
  );
}

const hear = async (name: string, timeoutMs?: number) => {
  const lines = await listen((all) => all.some((line) => line.__name__ === name), timeoutMs);
  return lines.find((line) => line.__name__ === name)!;
};

/** Speaks the newest API version and throws away what is sent for it. */
async function negotiate(version = 3): Promise<void> {
  host.say({ __name__: "api-version", apiVersion: version });
  await hear(version >= 3 ? "containers" : "os-info");
}

const FOR_ALL = [
  "session-startup",
  "active-user",
  "applications",
  "host-name",
  "os-version",
  "network-interfaces",
  "disks-usage",
  "fqdn",
];
const ALL = [...FOR_ALL, "timezone", "os-info", "containers"];

describe("at the start", () => {
  test("a host of version 0 is told what it knows", () => {
    begin();
    const atStart = FOR_ALL.filter((name) => name !== "disks-usage");
    expect(names(host.heard())).toEqual(atStart);
  });

  test("the first heartbeat says version 0, the later ones 3", async () => {
    await Bun.write(configFile(), "[general]\nheart_beat_rate = 1\n");
    begin();
    host.heard();
    const isHeartbeat = (line: { readonly [member: string]: Json }): boolean => line.__name__ === "heartbeat";
    const lines = await listen((all) => all.filter(isHeartbeat).length === 2);
    expect(lines.filter(isHeartbeat).map(({ apiVersion }) => apiVersion)).toEqual([0, 3]);
  });
});

describe("version negotiation", () => {
  test.each<[version: Json, expected: string[]]>([
    [3, ALL],
    ["3", ALL],
    [9, ALL],
    [2, ALL.filter((name) => name !== "containers")],
    [1, FOR_ALL],
  ])("api-version %p sends everything that it has", async (version, expected) => {
    begin();
    host.heard();
    host.say({ __name__: "api-version", apiVersion: version });
    expect(names(await listen((all) => all.length >= expected.length))).toEqual(expected);
  });

  test.each<[Json]>([["x"], [""], [null], [0]])("api-version %p changes nothing", async (version) => {
    begin();
    host.heard();
    host.say({ __name__: "api-version", apiVersion: version }, { __name__: "echo", a: 1 });
    expect(await listen((all) => all.length > 0)).toEqual([{ __name__: "echo", a: 1 }]);
  });

  test("a refresh without a version goes back to 0", async () => {
    begin();
    await negotiate();
    host.say({ __name__: "refresh" });
    expect(names(await listen((all) => all.length >= FOR_ALL.length))).toEqual(FOR_ALL);
  });

  test("a refresh with a version keeps it; a thousand at once are answered once", async () => {
    begin();
    await negotiate();
    host.say(...Array.from({ length: 1000 }, () => ({ __name__: "refresh", apiVersion: 3 })));
    expect(names(await listen((all) => all.length >= ALL.length))).toEqual(ALL);
  });
});

describe("messages are of the declared form, and what this machine says", () => {
  test("all of a refresh", async () => {
    begin();
    host.heard();
    host.say({ __name__: "api-version", apiVersion: 3 });
    const lines = await listen((all) => names(all).includes("containers"));
    for (const { __name__: name, ...content } of lines) {
      const message: Message | undefined = REGULAR_MESSAGES.find((known) => known.name === name);
      expect(v.safeParse(v.strictObject(message!.content), content).issues).toBeUndefined();
    }
    const told = new Map(lines.map((line) => [line.__name__, line]));
    expect(told.get("os-version")).toEqual({ __name__: "os-version", version: release() });
    expect(told.get("fqdn")?.fqdn).toBe(told.get("host-name")?.name as Json);
    expect(told.get("os-info")).toMatchObject({ kernel: release(), type: "linux" });
    expect(told.get("timezone")?.zone).toMatch(/^[A-Z]/);

    const addresses: Json = JSON.parse(await mustRun(["ip", "-j", "addr"]));
    if (!Array.isArray(addresses)) throw new Error("ip has no list");
    const expected = addresses
      .filter(isObject)
      .filter(({ link_type: type, ifname }) => type !== "loopback" && ifname !== "docker0")
      .filter(({ flags }) => Array.isArray(flags) && flags.includes("UP"))
      .map(({ ifname, address, addr_info: info }) => {
        const of = (family: string) =>
          (Array.isArray(info) ? info : [])
            .filter(isObject)
            .flatMap((it) => (it.family === family ? (it.local ?? []) : []));
        return { name: ifname, inet: of("inet"), inet6: of("inet6"), hw: address };
      });
    expect(told.get("network-interfaces")?.interfaces).toEqual(expected as Json);

    const disks = told.get("disks-usage")?.disks;
    const [total] = (await mustRun(["df", "-B1", "--output=size", "/"])).trim().split("\n").slice(-1);
    const root = Array.isArray(disks) ? disks.filter(isObject).find(({ path }) => path === "/") : undefined;
    expect(root?.total).toBe(Number(total));
  });

  test("heartbeat", async () => {
    await Bun.write(configFile(), "[general]\nheart_beat_rate = 1\n");
    begin();
    const { __name__, ...content } = await hear("heartbeat");
    const { content: declared } = REGULAR_MESSAGES.find(({ name }) => name === "heartbeat")!;
    expect(v.safeParse(v.strictObject(declared), content).issues).toBeUndefined();
    expect(content["free-ram"]).toMatch(/^\d+$/);
  });

  test("number-of-cpus is on its rate, from version 1 on", async () => {
    await Bun.write(configFile(), "[general]\nreport_num_cpu_rate: 1\n");
    begin();
    await negotiate();
    const online = Number((await mustRun(["getconf", "_NPROCESSORS_ONLN"])).trim());
    expect(await hear("number-of-cpus")).toEqual({ __name__: "number-of-cpus", count: online });
  });

  test("applications are those of the list, in its order", async () => {
    await Bun.write(configFile(), "[general]\napplications_list = no-such-thing libc6\n base-files awk\n");
    begin();
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholder is that of dpkg-query
    const versionOf = (name: string) => mustRun(["dpkg-query", "-W", "-f", "${Version}", name]);
    const lines = host.heard();
    const { applications } = lines.find((line) => line.__name__ === "applications")!;
    const expected = [`libc6-${await versionOf("libc6")}`, `base-files-${await versionOf("base-files")}`];
    if (!Array.isArray(applications)) throw new Error("no list");
    expect(applications.slice(0, 2)).toEqual(expected);
    // Only provided by mawk, gawk or another.
    expect(applications.slice(2).every((it) => String(it).startsWith("awk-"))).toBe(true);
    expect(applications.length).toBeGreaterThan(2);
  });

  test("containers are the engine's", async () => {
    const container = { id: "c", names: ["/web"], image: "nginx", command: "run", status: "Up 2 hours" };
    begin({ guest: { containers: { list: async () => [container] } } });
    host.say({ __name__: "api-version", apiVersion: 3 });
    expect(await hear("containers")).toEqual({ __name__: "containers", list: [container] });
  });

  test("what XML cannot hold is replaced, whatever it was", () => {
    const odd = "a\u0000\u0008\t\n\u000b\u001f\u007f\u0084\u0085\u009f\ufffe\uffff\ud800x\udc00\u{1f600}";
    begin({ guest: { identity: { ...guest.identity, fqdn: () => odd } } });
    const told = host.heard().find((line) => line.__name__ === "host-name");
    const r = "\ufffd";
    expect(told?.name).toBe(`a${r}${r}\t\n${r}${r}${r}${r}\u0085${r}${r}${r}${r}x${r}\u{1f600}`);
  });
});

describe("sessions", () => {
  let users: LoggedInUser[];
  let happened: (event: SessionEvent) => void;

  const withUsers = (...initial: string[]): void => {
    users = initial.map((user) => ({ user, terminal: `tty-${user}`, loginTime: 1 }));
    begin({
      guest: {
        identity: { ...guest.identity, users: () => users },
        sessions: {
          watch(callback) {
            happened = callback;
            return () => {};
          },
          lock: async () => {},
          end: async () => {},
        },
      },
    });
    host.heard();
  };

  test("a login and a logout", () => {
    withUsers();
    users = [{ user: "eva", terminal: "tty1", loginTime: 7 }];
    happened("users");
    expect(host.heard()).toEqual([{ __name__: "session-logon" }, { __name__: "active-user", name: "eva" }]);
    happened("users");
    expect(host.heard()).toEqual([]);
    users = [];
    happened("users");
    expect(host.heard()).toEqual([{ __name__: "session-logoff" }, { __name__: "active-user", name: "None" }]);
  });

  test("somebody else stays when one logs out", () => {
    withUsers("adam", "eva");
    users = users.slice(1);
    happened("users");
    expect(host.heard()).toEqual([{ __name__: "session-logoff" }, { __name__: "active-user", name: "eva" }]);
  });

  test("a screen is locked and unlocked", () => {
    withUsers("eva");
    happened("lock");
    happened("unlock");
    expect(host.heard()).toEqual([{ __name__: "session-lock" }, { __name__: "session-unlock" }]);
  });

  test("an active user who was not noticed is told on the rate, once", async () => {
    await Bun.write(configFile(), "[general]\nreport_user_rate = 1\nheart_beat_rate = 1\n");
    withUsers();
    users = [{ user: "eva", loginTime: 7 }];
    const lines = await listen((all) => names(all).filter((name) => name === "heartbeat").length === 2);
    expect(lines.filter(({ __name__: name }) => name === "active-user")).toEqual([
      { __name__: "active-user", name: "eva" },
    ]);
  });

  test("the last word is session-shutdown", () => {
    withUsers();
    host.session.farewell?.();
    expect(host.heard()).toEqual([{ __name__: "session-shutdown" }]);
  });
});

describe("a host that does not read", () => {
  test("gets nothing meanwhile, and everything once it reads again", async () => {
    await Bun.write(configFile(), "[general]\nheart_beat_rate = 1\n");
    begin();
    await negotiate();
    host.blocked = true;
    await onLoop(() => Bun.sleep(1_200));
    expect(host.heard()).toEqual([]);
    host.blocked = false;
    const lines = await listen((all) => names(all).includes("containers"));
    expect(names(lines).slice(0, 3)).toEqual(["session-startup", "active-user", "applications"]);
    expect(names(lines)).toContain("heartbeat");
  });
});

describe("while filesystems are frozen", () => {
  test("only signs of life are sent, and what ran a program is refused", async () => {
    await Bun.write(configFile(), "[general]\nheart_beat_rate = 1\nreport_application_rate = 1\n");
    let frozen = false;
    begin({ frozen: () => frozen });
    await negotiate();
    frozen = true;
    host.say({ __name__: "refresh", apiVersion: 3 }, { __name__: "shutdown" }, { __name__: "echo" });
    expect(names(await listen((all) => names(all).includes("heartbeat")))).toEqual(["echo", "heartbeat"]);
    expect(host.logged).toContain("warning: shutdown: refused, filesystems are frozen");
    frozen = false;
    expect(names(await listen((all) => names(all).includes("containers")))).toContain("applications");
  });
});

describe("commands", () => {
  /** Notes what the guest was asked for. */
  function recording(): { calls: unknown[]; guest: Partial<Guest> } {
    const calls: unknown[] = [];
    return {
      calls,
      guest: {
        power: {
          shutdown: async (...args) => void calls.push(["shutdown", ...args]),
          suspend: async (mode) => void calls.push(["suspend", mode]),
        },
        sessions: {
          watch: () => () => {},
          lock: async () => void calls.push(["lock"]),
          end: async (user) => void calls.push(["end", user]),
        },
        identity: { ...guest.identity, users: () => [{ user: "eva", loginTime: 1 }] },
        vcpus: {
          list: () => [0, 1, 2, 3].map((id) => ({ id, online: id < 2, canOffline: id > 0 })),
          set: (id, online) => {
            calls.push(["vcpu", id, online]);
            return true;
          },
        },
      },
    };
  }

  test.each<[request: { readonly [member: string]: Json }, expected: unknown[]]>([
    [{ __name__: "lock-screen" }, [["lock"]]],
    [{ __name__: "log-off" }, [["end", "eva"]]],
    [{ __name__: "shutdown" }, [["shutdown", "powerdown", "System is going down", 0]]],
    [{ __name__: "shutdown", timeout: "61", message: "bye", reboot: "True" }, [["shutdown", "reboot", "bye", 2]]],
    [{ __name__: "shutdown", timeout: 60, reboot: "False" }, [["shutdown", "powerdown", "System is going down", 1]]],
    [
      { __name__: "shutdown", timeout: "soon", message: 7, reboot: null },
      [["shutdown", "powerdown", "System is going down", 0]],
    ],
    [{ __name__: "hibernate" }, [["suspend", "disk"]]],
    [{ __name__: "hibernate", state: "mem" }, [["suspend", "ram"]]],
    [{ __name__: "set-number-of-cpus", count: 3 }, [["vcpu", 2, true]]],
    [{ __name__: "set-number-of-cpus", count: "1" }, [["vcpu", 1, false]]],
    [{ __name__: "set-number-of-cpus", count: 0 }, []],
    [{ __name__: "set-number-of-cpus", count: "many" }, []],
    [{ __name__: "set-number-of-cpus" }, []],
  ])("%j", async (request, expected) => {
    const { calls, guest: recorder } = recording();
    begin({ guest: recorder });
    host.heard();
    host.say(request, { __name__: "echo", over: true });
    await hear("echo");
    expect(calls).toEqual(expected);
  });

  test("number-of-cpus follows set-number-of-cpus", async () => {
    begin({ guest: recording().guest });
    await negotiate();
    host.say({ __name__: "set-number-of-cpus", count: 2 });
    expect(await hear("number-of-cpus")).toEqual({ __name__: "number-of-cpus", count: 2 });
  });

  test("echo sends back what came", async () => {
    begin();
    host.heard();
    host.say('{"__name__": "echo", "a": [1, {"b": null}], "large": 12345678901234567890}\n');
    expect(await hear("echo")).toEqual({ __name__: "echo", a: [1, { b: null }], large: 12345678901234567890n });
    expect(echo.version).toBe(0);
  });

  test("login is refused unless it is switched on, and its password is never logged", async () => {
    const request = { __name__: "login", username: "eva@example", password: "s3cret" };
    begin();
    host.say(request, '{"__name__": "login", "username": "eva", "password": "s3cret\n');
    begin({ args: ["--enable-rpcs", "login"] });
    const refused = [...host.logged];
    host.say(request, { __name__: "echo" });
    await hear("echo");
    expect(host.logged).toContain("warning: login: no display manager here takes credentials from the agent");
    expect([...refused, ...host.logged].join()).not.toContain("s3cret");
  });

  test.each([
    ["lock-screen", ["--block-rpcs", "lock-screen"], "blocked by block-rpcs"],
    ["lock-screen", ["--allow-rpcs", "echo"], "not in allow-rpcs"],
    ["login", [], "off unless enable-rpcs names it: it carries a password"],
  ])("%s with %j is refused", async (name, args, reason) => {
    const { calls, guest: recorder } = recording();
    begin({ guest: recorder, args });
    host.say({ __name__: name, username: "a", password: "b" }, { __name__: "echo" });
    await hear("echo");
    expect(calls).toEqual([]);
    expect(host.logged).toContain(`warning: ${name}: refused, ${reason}`);
  });

  test("what fails goes to the log", async () => {
    const lock = async (): Promise<void> => {
      throw new AttemptsError([]);
    };
    begin({ guest: { sessions: { watch: () => () => {}, lock, end: lock } } });
    host.say({ __name__: "lock-screen" }, { __name__: "echo" });
    await hear("echo");
    expect(host.logged).toContain("warning: lock-screen: not supported by the guest");
  });

  test("lifecycle-event runs the hooks in order, and completes", async () => {
    const directory = join(folder, "hooks.d", "before_migration");
    await mkdir(directory, { recursive: true });
    const hook = async (name: string, script: string): Promise<void> => {
      await Bun.write(join(directory, name), `#!/bin/sh\n${script}\n`);
      await chmod(join(directory, name), 0o755);
    };
    const trace = join(folder, "trace");
    await hook("20-second", `sleep 0.1; echo second >>${trace}`);
    await hook("10-fails", `echo first >>${trace}; exit 3`);
    await hook("30-third", `echo third >>${trace}`);
    await Bun.write(join(directory, "40-not-executable"), "");
    begin();
    await negotiate();
    host.say({ __name__: "lifecycle-event", type: "before_migration", reply_id: "id-1" });
    expect(await hear("completion")).toEqual({ __name__: "completion", reply_id: "id-1", done: true });
    expect(await Bun.file(trace).text()).toBe("first\nsecond\nthird\n");
    expect(host.logged.filter((line) => line.startsWith("warning: hook"))).toHaveLength(2);
    expect(completion.version).toBe(3);
  });

  test("lifecycle-event without hooks completes at once, one of an unknown type never", async () => {
    begin();
    await negotiate();
    host.say(
      { __name__: "lifecycle-event", type: "after_dinner", reply_id: 1 },
      { __name__: "lifecycle-event", type: "after_migration", reply_id: 2 },
    );
    expect((await hear("completion")).reply_id).toBe(2);
  });

  test("every command has a test here", async () => {
    const text = await Bun.file(import.meta.path).text();
    for (const { name } of OVIRT_COMMANDS) expect(text).toContain(`"${name}"`);
  });
});

describe("bad input", () => {
  test.each<[name: string, input: string]>([
    ["half a line", '{"__name__": "ec\n'],
    ["no JSON", "hello\n"],
    ["no object", "[1]\n"],
    ["no name", '{"a": 1}\n'],
    ["a name that is no text", '{"__name__": {"a": 1}}\n'],
    ["an unknown name", '{"__name__": "explode"}\n'],
    ["a name of JavaScript", '{"__name__": "constructor"}\n'],
    ["control characters", '{"__name__": "echo", "a": "\u0001"}\n'],
    ["10 MB in a line", `{"__name__": "${"x".repeat(10_000_000)}"}\n`],
  ])("%s is passed over with a line in the log", async (_name, input) => {
    begin();
    host.heard();
    host.say(input, { __name__: "echo", still: "there" });
    expect(host.heard()).toEqual([{ __name__: "echo", still: "there" }]);
    expect(host.logged).toHaveLength(1);
    expect(host.logged[0]!.length).toBeLessThan(200);
  });
});

test("the last word of an agent that is removed", async () => {
  begin();
  const port = join(folder, "port");
  await mustRun(["mkfifo", port]);
  const fd = openSync(port, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    expect(sayUninstalled(guest, port)).toBe(true);
    const bytes = Buffer.alloc(100);
    expect(bytes.toString("utf8", 0, readSync(fd, bytes))).toBe('{"__name__": "uninstalled"}\n');
    expect(sayUninstalled(guest, join(folder, "nowhere"))).toBe(false);
  } finally {
    closeSync(fd);
  }
});
