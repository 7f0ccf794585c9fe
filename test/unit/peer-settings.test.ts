import { describe, expect, test } from "bun:test";
import { ConfigError } from "../../src/config/config.ts";
import { readInvocation } from "../../src/config/invocation.ts";
import { parseSettings, settingsAsWords, splitWords } from "../../src/config/peer-settings.ts";
import { SystemError } from "../../src/guest.ts";

const SYSCONFIG = "/etc/sysconfig/qemu-ga";

function configWith(text: string, args: readonly string[] = ["--qemu-ga-settings"]) {
  const readText = (path: string): string => {
    if (path === SYSCONFIG) return text;
    throw new SystemError("open", "ENOENT", "No such file or directory", path);
  };
  const paths = {
    configFile: "/c",
    pidfile: "/run/pid",
    statedir: "/run",
    fsfreezeHook: "/etc/hook",
    settingsFiles: ["/etc/default/qemu-guest-agent", SYSCONFIG],
    noFile: "/dev/null",
  };
  const invocation = readInvocation(args, {}, { readText, exists: (path) => path === SYSCONFIG }, () => ({
    paths,
    ports: { virtioSerial: "/virtio", isaSerial: "/serial" },
    activated: undefined,
  }));
  if (!("config" in invocation)) throw new Error(invocation.kind);
  return invocation.config;
}

describe("a settings file", () => {
  test.each<[string, Record<string, string>]>([
    ["", {}],
    ["# BLACKLIST_RPC=a\n; B=c\n", {}],
    ["A=b", { A: "b" }],
    ["  A=b  \r\nexport C=d\n", { A: "b", C: "d" }],
    ["A=1\nA=2\n", { A: "2" }],
    [`A="b c"\nD='e "f"'\nG=h" i"'j'\n`, { A: "b c", D: 'e "f"', G: "h ij" }],
    ['A="b \\"c\\" \\n"\n', { A: 'b "c" \\n' }],
    ["A=b,\\\nc\nD=\n", { A: "b,c", D: "" }],
    ["A = b\n=c\n1A=d\nnonsense\n", {}],
    ['A="never ended\nB=c\n', { A: '"never ended', B: "c" }],
  ])("%j", (text, settings) => {
    expect(Object.fromEntries(parseSettings(text))).toEqual(settings);
  });

  test.each<[string, string[]]>([
    ["", []],
    ["  -v  --block-rpcs=a,b ", ["-v", "--block-rpcs=a,b"]],
    [`-l "/var/my log" -F'/a b'c`, ["-l", "/var/my log", "-F/a bc"]],
  ])("words of %j", (text, words) => {
    expect(splitWords(text)).toEqual(words);
  });

  test("of SysV's scripts, OpenRC's and runit's too", () => {
    const settings = new Map([
      ["TRANSPORT", "isa-serial:/dev/ttyS1"],
      ["GA_METHOD", "virtio-serial"],
      ["GA_PATH", ""],
      ["GA_OPTIONS", "-F/h"],
      ["OPTS", "-v"],
    ]);
    expect(settingsAsWords(settings, { hook: "/hook" })).toEqual([
      { variable: "GA_METHOD", words: ["--method=virtio-serial"] },
      { variable: "GA_OPTIONS", words: ["-F/h"] },
      { variable: "OPTS", words: ["-v"] },
      { variable: "TRANSPORT", words: ["--method=isa-serial", "--path=/dev/ttyS1"] },
    ]);
    expect(settingsAsWords(new Map([["TRANSPORT", "nonsense"]]), { hook: "/hook" })).toEqual([]);
  });

  test("its variables become options", () => {
    const settings = new Map([
      ["BLACKLIST_RPC", "guest-exec"],
      ["FSFREEZE_HOOK_PATHNAME", ""],
      ["FILTER_RPC_ARGS", "--allow-rpcs=guest-ping"],
      ["OTHER", "x"],
    ]);
    expect(settingsAsWords(settings, { hook: "/hook" })).toEqual([
      { variable: "BLACKLIST_RPC", words: ["--block-rpcs=guest-exec"] },
      { variable: "FSFREEZE_HOOK_PATHNAME", words: ["--fsfreeze-hook=/hook"] },
      { variable: "FILTER_RPC_ARGS", words: ["--allow-rpcs=guest-ping"] },
    ]);
  });
});

describe("the option --qemu-ga-settings", () => {
  test("takes them", () => {
    const text = `BLACKLIST_RPC=guest-exec,guest-file-open\nFSFREEZE_HOOK_PATHNAME=/h\nQEMU_GA_ARGS="-v -p /dev/x"\n`;
    expect(configWith(text)).toMatchObject({
      blockRpcs: ["guest-file-open", "guest-exec"],
      fsfreezeHook: "/h",
      verbose: true,
      path: "/dev/x",
    });
  });

  test("and nobody else does", () => {
    expect(configWith("BLACKLIST_RPC=guest-exec\n", [])).toMatchObject({ blockRpcs: [] });
  });

  test("what starts the agent decides how; the command line wins", () => {
    const config = configWith("DAEMON_ARGS='-d -f /x -p /dev/x'\nFSFREEZE_HOOK_PATHNAME=/dev/null\n", [
      "--qemu-ga-settings",
      "-p",
      "/dev/y",
    ]);
    expect(config).toMatchObject({ daemonize: false, pidfile: "/run/pid", path: "/dev/y" });
    expect(config.fsfreezeHook).toBeUndefined();
  });

  test("names the place of a mistake", () => {
    expect(() => configWith("FILTER_RPC_ARGS=--nonsense\n")).toThrow(
      new ConfigError(`${SYSCONFIG}: FILTER_RPC_ARGS: unrecognized option '--nonsense'`),
    );
    expect(() => configWith("DAEMON_ARGS='-m smoke'\n")).toThrow(
      `${SYSCONFIG}: DAEMON_ARGS: option -m: 'smoke' is not`,
    );
  });
});
