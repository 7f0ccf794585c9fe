import { describe, expect, test } from "bun:test";
import { type Config, ConfigError, dumpConfig, type Surroundings } from "../../src/config/config.ts";
import { describeOptions } from "../../src/config/help.ts";
import { type Invocation, readInvocation } from "../../src/config/invocation.ts";
import { ALL_OPTIONS } from "../../src/config/options.ts";
import { SystemError } from "../../src/guest.ts";

const surroundings: Surroundings = {
  paths: { configFile: "/etc/default.conf", pidfile: "/run/pid", statedir: "/run", fsfreezeHook: "/etc/hook" },
  ports: { virtioSerial: "/dev/virtio", isaSerial: "/dev/serial" },
  activated: undefined,
};

interface World {
  files?: Record<string, string>;
  env?: Record<string, string>;
  activated?: Surroundings["activated"];
}

function invoke(args: readonly string[], { files = {}, env = {}, activated }: World = {}): Invocation {
  const readText = (path: string): string => {
    const text = files[path];
    if (text === undefined) throw new SystemError("open", "ENOENT", "No such file or directory", path);
    return text;
  };
  const exists = (path: string): boolean => path in files;
  return readInvocation(args, env, { readText, exists }, () => ({ ...surroundings, activated }));
}

function configOf(args: readonly string[], world?: World): Config {
  const invocation = invoke(args, world);
  if (!("config" in invocation)) throw new Error(`${args.join(" ")} asks for ${invocation.kind}`);
  return invocation.config;
}

/** The settings but for the ways to hosts, which have tests of their own. */
const settingsOf = (args: readonly string[], world?: World): Config => ({ ...configOf(args, world), channels: [] });

const inFile = (lines: string): World => ({ files: { "/c": `[general]\n${lines}\n` } });

describe("settings", () => {
  const usual: Config = {
    method: "virtio-serial",
    path: "/dev/virtio",
    pidfile: "/run/pid",
    statedir: "/run",
    verbose: false,
    daemonize: false,
    retryPath: false,
    blockRpcs: [],
    allowRpcs: [],
    dialect: "qga",
    enableRpcs: [],
    commandTimeout: 60,
    commandOutput: 16,
    channels: [],
  };

  test("none", () => {
    expect(settingsOf([])).toEqual(usual);
  });

  test.each<[args: string[], expected: Partial<Config>]>([
    [["-m", "isa-serial"], { method: "isa-serial", path: "/dev/serial" }],
    [["-m", "unix-listen", "-p", "/s"], { method: "unix-listen", path: "/s" }],
    [["-p", "/a", "-p", "/b"], { path: "/b" }],
    [["-l", "/l", "-f", "/f", "-t", "/t"], { logfile: "/l", pidfile: "/f", statedir: "/t" }],
    [["-v", "-d", "-r"], { verbose: true, daemonize: true, retryPath: true }],
    [["-F"], { fsfreezeHook: "/etc/hook" }],
    [["-F/x"], { fsfreezeHook: "/x" }],
    [["-b", "a,b", "-b", "c"], { blockRpcs: ["b", "a", "c"] }],
    [["--blacklist=a"], { blockRpcs: ["a"] }],
    [["-b", "a;b, c"], { blockRpcs: ["c", "b", "a"] }],
    [["-b", ""], { blockRpcs: [] }],
    [["-a", "a", "-b", "b"], { allowRpcs: ["a"], blockRpcs: ["b"] }],
    [["--fsfreeze-timeout=30"], { fsfreezeTimeout: 30 }],
    [["--fsfreeze-timeout=0"], {}],
    [["--dialect", "bclinux"], { dialect: "bclinux" }],
    [["--log-format=json"], { logFormat: "json" }],
  ])("%j", (args, expected) => {
    expect(settingsOf(args)).toEqual({ ...usual, ...expected });
  });

  test.each<[lines: string, expected: Partial<Config>]>([
    ["", {}],
    ["daemon=true\nverbose=1\nretry-path=true ", { daemonize: true, verbose: true, retryPath: true }],
    ["daemon=false\nverbose=0", {}],
    ["method=unix-listen\npath=\\s/s", { method: "unix-listen", path: " /s" }],
    ["path=/a\npath=/b", { path: "/b" }],
    ["block-rpcs=a,b\nallow-rpcs=c", { blockRpcs: ["b", "a"], allowRpcs: ["c"] }],
    ["blacklist=a", { blockRpcs: ["a"] }],
    [
      "fsfreeze-timeout=5\ndialect=bclinux\nlog-format=text",
      { fsfreezeTimeout: 5, dialect: "bclinux", logFormat: "text" },
    ],
  ])("a file with %j", (lines, expected) => {
    expect(settingsOf(["-c", "/c"], inFile(lines))).toEqual({ ...usual, ...expected });
  });

  test("flags win over the file, lists add up", () => {
    const config = settingsOf(["-c", "/c", "-p", "/flag", "-b", "x"], inFile("path=/file\nblock-rpcs=a\nlogfile=/l"));
    expect(config).toEqual({ ...usual, path: "/flag", logfile: "/l", blockRpcs: ["a", "x"] });
  });

  test("other groups are passed over", () => {
    expect(
      settingsOf(["-c", "/c"], { files: { "/c": "[x]\nfoo=1\n[general]\nverbose=true\n[y]\nverbose=no" } }),
    ).toEqual({
      ...usual,
      verbose: true,
    });
  });

  test("a socket that was handed over needs no path", () => {
    const config = settingsOf(["-m", "isa-serial", "-p", "/x"], { activated: "vsock-listen" });
    expect(config.method).toBe("vsock-listen");
    expect(config.path).toBeUndefined();
  });
});

describe("which file", () => {
  const files = {
    "/etc/default.conf": "[general]\npidfile=/default",
    "/env": "[general]\npidfile=/env",
    "/c": "[general]\npidfile=/c",
  };

  test("the usual one", () => {
    expect(settingsOf([], { files }).pidfile).toBe("/default");
  });

  test("QGA_CONF", () => {
    expect(settingsOf([], { files, env: { QGA_CONF: "/env" } }).pidfile).toBe("/env");
  });

  test("-c, the last one", () => {
    expect(settingsOf(["-c", "/env", "-c", "/c"], { files, env: { QGA_CONF: "/env" } }).pidfile).toBe("/c");
  });

  test("one that was not asked for by -c may be missing", () => {
    expect(settingsOf([], { env: { QGA_CONF: "/missing" } }).pidfile).toBe("/run/pid");
  });
});

describe("what is wrong is named in one line", () => {
  test.each<[args: string[], world: World, message: string]>([
    [["-x"], {}, "invalid option -- 'x'; --help lists the options"],
    [["-c", "/c"], {}, "/c: No such file or directory"],
    [["-m", "foo"], {}, "option -m: 'foo' is not one of virtio-serial, isa-serial, unix-listen, vsock-listen, stdio"],
    [["-m", "unix-listen"], {}, "method unix-listen needs a path: option -p, or the key path in [general]"],
    [["--dial=x"], {}, "option --dial: 'x' is not one of qga, bclinux, ovirt, eayun"],
    [["--fsfreeze-timeout=x"], {}, "option --fsfreeze-timeout: 'x' is not a number of seconds"],
    [["--fsfreeze-timeout=86401"], {}, "option --fsfreeze-timeout: '86401' is more than a day (86400 seconds)"],
    [["-c", "/c"], inFile("\nfoo=1"), "/c:3: [general] foo: there is no such key"],
    [["-c", "/c"], inFile("foo"), "/c:2: 'foo' is not a key=value pair, a [group] or a # comment"],
    [["-c", "/c"], inFile("daemon=yes"), "/c:2: [general] daemon: 'yes' is not a boolean (true, false, 1 or 0)"],
    [["-c", "/c"], inFile("path=\\x"), "/c:2: [general] path: invalid escape '\\x' (known are \\s \\n \\t \\r \\\\)"],
    [["-c", "/c"], inFile("path=\ufffd"), "/c:2: [general] path: the value is not UTF-8"],
  ])("%j %j", (args, world, message) => {
    expect(() => invoke(args, world)).toThrow(new ConfigError(message));
  });
});

test.each<[args: string[], kind: Invocation["kind"]]>([
  [["-V"], "version"],
  [["--vers", "-h"], "version"],
  [["-h", "-V"], "help"],
  [["-b", "help"], "commands"],
  [["--allow-rpcs=?"], "commands"],
  [["-D"], "dump"],
  [["-D", "-V"], "version"],
  [["-h", "-x"], "help"],
  [["-c", "/missing", "-h"], "help"],
  [["foo"], "run"],
])("%j is a question for %s", (args, kind) => {
  expect(invoke(args).kind).toBe(kind);
});

test.each([
  [[]],
  [["-d", "-v", "-r", "-F", "-p", " /a\\b;c", "-l", "/ä", "-b", "a,b,c", "-b", "d", "-a", "x"]],
  [["--fsfreeze-timeout=3", "--dialect=bclinux", "--log-format=journal"]],
])("what %j dumps is what it would be run with", (args: string[]) => {
  const config = settingsOf(args);
  const again = settingsOf(["-c", "/c"], { files: { "/c": dumpConfig(config) } });
  const sorted = ({ blockRpcs, allowRpcs, ...others }: Config) => ({
    ...others,
    blockRpcs: blockRpcs.toSorted(),
    allowRpcs: allowRpcs.toSorted(),
  });
  expect(sorted(again)).toEqual(sorted(config));
});

test("the help has every option, fits a terminal and fills in the facts", () => {
  const text = describeOptions(ALL_OPTIONS, {
    ...surroundings.paths,
    ...surroundings.ports,
    settingsFiles: "/settings",
  });
  for (const { long } of ALL_OPTIONS) expect(text).toContain(`--${long}`);
  for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  expect(text).not.toMatch(/\{\w+\}/);
  expect(text).toContain("/etc/default.conf");
});

describe("ways to hosts", () => {
  const channels = (args: readonly string[], lines = ""): Config["channels"] =>
    configOf(["-c", "/c", ...args], { files: { "/c": lines } }).channels;

  test.each<[args: string[], expected: Config["channels"]]>([
    // Then every known port is served.
    [[], []],
    [["-m", "virtio-serial", "-r", "-v"], []],
    [["-p", "/x"], [{ method: "virtio-serial", dialect: "qga", path: "/x" }]],
    [["-m", "isa-serial"], [{ method: "isa-serial", dialect: "qga", path: "/dev/serial" }]],
    [["--dialect", "bclinux"], [{ method: "virtio-serial", dialect: "bclinux", path: "/dev/virtio" }]],
    [["--dialect", "ovirt"], [{ method: "virtio-serial", dialect: "ovirt", path: "/dev/com.redhat.rhevm.vdsm" }]],
    [["--dialect", "eayun"], [{ method: "virtio-serial", dialect: "eayun", path: "/dev/com.eayun.eayunstack.0" }]],
    [
      ["--dialect", "ovirt", "-m", "unix-listen", "-p", "/s"],
      [{ method: "unix-listen", dialect: "ovirt", path: "/s" }],
    ],
  ])("%j", (args, expected) => {
    expect(channels(args)).toEqual(expected);
  });

  const sections = "[channel a]\ndialect=eayun\n[channel b c]\nmethod=unix-listen\npath=/s\ndialect=ovirt\n";
  const ofSections: Config["channels"] = [
    { name: "a", method: "virtio-serial", dialect: "eayun", path: "/dev/com.eayun.eayunstack.0" },
    { name: "b c", method: "unix-listen", dialect: "ovirt", path: "/s" },
  ];

  test("sections alone are all that is served", () => {
    expect(channels([], sections)).toEqual(ofSections);
  });

  test("sections are served beside what flags name", () => {
    const own = { method: "virtio-serial", dialect: "qga", path: "/x" } as const;
    expect(channels(["-p", "/x"], sections)).toEqual([own, ...ofSections]);
  });

  test("sections are dumped as they are read", () => {
    const invocation = invoke(["-c", "/c", "-p", "/x", "-D"], { files: { "/c": sections } });
    if (invocation.kind !== "dump") throw new Error(invocation.kind);
    expect(channels([], dumpConfig(invocation.config))).toEqual(invocation.config.channels);
  });

  test.each([
    ["[channel a]\nverbose=true\n", "/c:2: [channel a] verbose: there is no such key"],
    ["[channel a]\nmethod=unix-listen\n", "method unix-listen needs a path: option -p, or the key path in [channel a]"],
    ["[channel a]\ndialect=klingon\n", "is not one of qga, bclinux, ovirt, eayun"],
  ])("%j is an error", (lines, message) => {
    expect(() => channels([], lines)).toThrow(message);
  });
});
