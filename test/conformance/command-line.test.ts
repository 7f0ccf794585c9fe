/** The same command lines and config files to inguest and to the real qemu-ga: what is printed, how it ends. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inguestCommand } from "../lab/agent.ts";
import { obtainPeer } from "../lab/peer.ts";
import { type Finished, run } from "../lab/process.ts";

const peer = await obtainPeer();
const folder = mkdtempSync(join(tmpdir(), "inguest-command-line-"));
afterAll(() => rmSync(folder, { recursive: true }));

const configFile = join(folder, "test.conf");
const otherFile = join(folder, "other.conf");

interface Case {
  args: readonly string[];
  /** The config file: it is named by `-c` where the arguments have it as FILE. */
  file?: string;
  env?: Record<string, string>;
}

async function runBoth({ args, file, env }: Case): Promise<{ ours: Finished; theirs: Finished }> {
  if (file !== undefined) writeFileSync(configFile, file);
  const words = args.map((word) => word.replace("FILE", configFile));
  const options = { cwd: folder, timeoutMs: 10_000, env: { QGA_CONF: join(folder, "missing"), ...env } };
  const [ours, theirs] = await Promise.all([
    run([...inguestCommand, ...words], options),
    run([...peer.command, ...words], options),
  ]);
  return { ours, theirs };
}

const inGeneral = (lines: string): Case => ({ args: ["-D", "-c", "FILE"], file: `[general]\n${lines}\n` });

const PRINTS: readonly Case[] = [
  ...[
    ["-D"],
    ["--dump-conf"],
    ["--dump"],
    ["-D", "operand"],
    ["operand", "-D"],
    ["-D", "--", "-x"],
    ["-D", "-d"],
    ["-D", "--daemonize"],
    ["-Ddvr"],
    ["-D", "-m", "isa-serial"],
    ["-D", "-m", "unix-listen", "-p", "/run/x.sock"],
    ["-D", "--method=vsock-listen", "--path=3:1024"],
    ["-D", "-munix-listen", "-p/x"],
    ["-D", "-p", ""],
    ["-D", "-p", "/a", "-p", "/b"],
    ["-D", "-l", "/var/log/qga.log", "-f", "/run/q.pid", "-t", "/var/lib/q"],
    ["-D", "--logfile", "l", "--pidfile", "f", "--statedir", "t"],
    ["-D", "-F"],
    ["-D", "-F/hook"],
    ["-D", "-F", "/hook"],
    ["-D", "--fsfreeze-hook"],
    ["-D", "--fsfreeze-hook=/hook"],
    ["-D", "--fs=/hook"],
    ["-D", "--fsfreeze", "/hook"],
    ["-D", "-F/a", "-F"],
    ["-D", "-b", "guest-ping"],
    ["-D", "-b", "a,b,c", "--block-rpcs=d,e", "--block=f"],
    ["-D", "-b", ""],
    ["-D", "-b", "a,,b,"],
    ["-D", "-a", "a,b", "--allow-rpcs", "c"],
    ["-D", "-a", "helper", "-b", "??"],
    ["-D", "--retry-path"],
    ["-D", "-p", " lead", "-l", "\ttab\\back", "-t", "a b ;,#="],
    ["-D", "-p", "/ä€😀"],
    ["-D", "-p", "line\nfeed\r"],
    ["-c", "FILE", "-D", "-p", "/flag"],
  ].map((args): Case => ({ args, file: "[general]\npath=/file\n" })),
  inGeneral(""),
  { args: ["-D", "-c", "FILE"], file: "" },
  { args: ["-D", "-c", "FILE"], file: "# only a comment\n\n" },
  { args: ["-D", "-c", "FILE"], file: "[other]\ndaemon=maybe\n" },
  { args: ["-D", "-c", "FILE"], file: "[general]\npath=/no-line-feed" },
  { args: ["-D", "-c", "FILE"], file: "[general]\r\npath=/dos\r\nverbose=true\r\n" },
  { args: ["-D", "-c", "FILE"], file: "[general]\npath=/a\n[other]\npath=/b\n[general]\nmethod=unix-listen\n" },
  { args: ["-D", "-c", "FILE"], file: "  [general]  \n\t path \t=\t /a b \t\n" },
  { args: ["-D", "-c", "FILE"], file: " # comment [general]\n[general]\n;path=/x\n".replace(";", "#") },
  inGeneral("daemon=true\nverbose=1\nretry-path=true "),
  inGeneral("daemon=0\nverbose=false\nretry-path=0"),
  inGeneral("method=isa-serial"),
  inGeneral("method=unix-listen\npath=/x\nlogfile=/l\npidfile=/f\nfsfreeze-hook=/h\nstatedir=/t"),
  inGeneral("path=/a\npath=/b"),
  inGeneral("path=\npidfile="),
  inGeneral("path=\\s\\tx\\n\\r\\\\y "),
  inGeneral('path="quoted"'),
  inGeneral("path=a=b#c"),
  inGeneral("path[de]=/german\npath=/any"),
  inGeneral("path=/any\npath[de]=/german"),
  inGeneral("block-rpcs=guest-exec,guest-shutdown\nallow-rpcs=a"),
  inGeneral("block-rpcs="),
  inGeneral("block-rpcs=a,,b"),
  {
    args: ["-D", "-c", "FILE", "-b", "x", "-d", "-v"],
    file: "[general]\nblock-rpcs=a,b\ndaemon=false\nverbose=false\n",
  },
  { args: ["-D"], env: { QGA_CONF: configFile }, file: "[general]\npath=/from-environment\n" },
  { args: ["-D", "-c", "FILE"], env: { QGA_CONF: otherFile }, file: "[general]\npath=/from-option\n" },
  { args: ["-D", "-c", otherFile, "-c", "FILE"], file: "[general]\npath=/last\n" },
];

describe("prints the same", () => {
  writeFileSync(otherFile, "[general]\npath=/from-other\n");

  test.each(PRINTS.map((it) => [JSON.stringify(it.args), it.file ?? "", it] as const))(
    "%s %j",
    async (_args, _file, it) => {
      const { ours, theirs } = await runBoth(it);
      expect(theirs.exitCode).toBe(0);
      expect(ours).toEqual(theirs);
    },
  );
});

describe("refuses the same", () => {
  const cases: readonly Case[] = [
    ...[
      ["-x"],
      ["--nope"],
      ["--ver"],
      ["-m"],
      ["--path"],
      ["--verbose=1", "-D"],
      ["-s", "install"],
      ["-D", "-c", "/nonexistent/x.conf"],
      ["-D", "-c", "."],
      ["-D", "-m", "unix-listen"],
      ["-D", "-m", "vsock-listen"],
      ["-m", "nonsense", "-p", "/x"],
      ["-m", "vsock-listen", "-p", "nonsense"],
      ["-p", "/nonexistent/port"],
      ["-m", "unix-listen", "-p", "/nonexistent/x.sock"],
      ["-t", "/nonexistent"],
      ["-t", ".", "-l", "/nonexistent/log"],
      ["-t", ".", "-l", "."],
    ].map((args): Case => ({ args: args.includes("-t") ? args : [...args, "-t", folder] })),
    { args: ["-D", "-c", "FILE"], file: "path=/x\n" },
    { args: ["-D", "-c", "FILE"], file: "[general\npath=/x\n" },
    { args: ["-D", "-c", "FILE"], file: "[general] x\npath=/x\n" },
    { args: ["-D", "-c", "FILE"], file: "[]\n" },
    inGeneral("nonsense"),
    inGeneral("=x"),
    inGeneral("daemon=yes"),
    inGeneral("daemon="),
    inGeneral("verbose=True"),
    inGeneral("retry-path=2"),
    inGeneral("path=\\x"),
    inGeneral("path=end\\"),
    inGeneral("p[th=x"),
    { args: ["-D"], env: { QGA_CONF: configFile }, file: "[general]\nnonsense\n" },
  ];

  test.each(cases.map((it) => [JSON.stringify(it.args), it.file ?? "", it] as const))(
    "%s %j",
    async (_args, _file, it) => {
      const { ours, theirs } = await runBoth(it);
      expect(theirs.exitCode).toBe(1);
      expect(ours.exitCode).toBe(1);
      expect(ours.stdout).toBe("");
      expect(ours.stderr).toMatch(/^inguest: [^\n]+\n$/);
    },
  );
});

/** What both accept or refuse differently, and why. */
const DIFFERENCES: readonly (Case & { reason: string; theirs: 0 | 1; ours: 0 | 1; prints?: string })[] = [
  {
    ...inGeneral("block-rpc=guest-exec"),
    reason: "a misspelt key is an error: passed over, it would leave a command open",
    theirs: 0,
    ours: 1,
  },
  {
    ...inGeneral("block-rpcs=a;b"),
    reason: "a semicolon separates names, as in other key files: as one name it would block nothing",
    theirs: 0,
    ours: 0,
    prints: "block-rpcs=b,a",
  },
  {
    args: ["-D", "-b", "a, b"],
    reason: "blanks around names mean nothing, for the same reason",
    theirs: 0,
    ours: 0,
    prints: "block-rpcs=b,a",
  },
  {
    args: ["-D", "--blacklist=a"],
    reason: "the old spelling of --block-rpcs is still understood",
    theirs: 1,
    ours: 0,
    prints: "block-rpcs=a",
  },
  {
    ...inGeneral("blacklist=a"),
    reason: "so is the old key, which version 10 passes over and blocks nothing",
    theirs: 0,
    ours: 0,
    prints: "block-rpcs=a",
  },
  {
    args: ["-D", "-m", "nonsense", "-p", "/x"],
    reason: "a method is checked before anything else, not only when the channel is opened",
    theirs: 0,
    ours: 1,
  },
  {
    args: ["-D", "-c", "FILE"],
    file: "\ufeff[general]\npath=/bom\n",
    reason: "some editors begin a file with a byte order mark",
    theirs: 1,
    ours: 0,
    prints: "path=/bom",
  },
  {
    args: ["-h", "-c", "/nonexistent/x.conf"],
    reason: "help needs no config file",
    theirs: 1,
    ours: 0,
    prints: "Usage: ",
  },
  {
    args: ["-d", "-m", "unix-listen", "-p", "d.sock", "-t", ".", "-f", "/nonexistent/pid"],
    reason: "the exit code tells whether an agent runs in the background",
    theirs: 0,
    ours: 1,
  },
];

describe("differs on purpose", () => {
  test.each(DIFFERENCES.map((it) => [it.reason, it] as const))("%s", async (_reason, it) => {
    const { ours, theirs } = await runBoth(it);
    expect(theirs.exitCode).toBe(it.theirs);
    expect(ours.exitCode).toBe(it.ours);
    if (it.ours === 1) expect(ours.stderr).toMatch(/^inguest: [^\n]+\n$/);
    if (it.prints === undefined) return;
    expect(ours.stderr).toBe("");
    expect(ours.stdout).toContain(it.prints);
    expect(theirs.stdout).not.toContain(it.prints);
  });
});

describe("what one dumps, the other loads", () => {
  const settings: readonly (readonly string[])[] = [
    [],
    ["-d", "-v", "-r", "-m", "isa-serial", "-p", "/dev/ttyS1", "-l", "/l", "-f", "/f", "-t", "/t", "-F"],
    ["-m", "vsock-listen", "-p", "3:1024", "-b", "guest-exec,guest-shutdown", "-a", "guest-ping,guest-info"],
    ["-p", " \t a\\b;c,d#e=f ä€😀 ", "-l", "\n", "-t", "\r"],
  ];

  test.each(settings.map((args) => [JSON.stringify(args), args] as const))("%s", async (_name, args) => {
    const dumped = await runBoth({ args: ["-D", ...args] });
    for (const { stdout } of [dumped.ours, dumped.theirs]) {
      const { ours, theirs } = await runBoth({ args: ["-D", "-c", "FILE"], file: stdout });
      expect(theirs.exitCode).toBe(0);
      expect(ours).toEqual(theirs);
      // Lists come out in reverse each time.
      if (!args.includes("-b")) expect(theirs.stdout).toBe(stdout);
    }
  });

  test("settings that only inguest has do not trouble qemu-ga", async () => {
    const own = ["--fsfreeze-timeout=5", "--dialect=bclinux", "--log-format=json"];
    const dumped = await run([...inguestCommand, "-D", ...own]);
    const { ours, theirs } = await runBoth({ args: ["-D", "-c", "FILE"], file: dumped.stdout });
    expect(ours).toEqual(dumped);
    expect(theirs.exitCode).toBe(0);
    expect(theirs.stderr).toBe("");
  });
});

describe("questions", () => {
  test.each(["-V", "--version"])("%s begins with the same line", async (option) => {
    const { ours, theirs } = await runBoth({ args: [option] });
    expect(ours.stdout).toStartWith(theirs.stdout);
    expect(ours.stdout).toMatch(/\ninguest \d+\.\d+\.\d+ \(\w+\)\n$/);
    expect(ours.exitCode).toBe(theirs.exitCode);
  });

  test.each(["-h", "--help"])("%s names every option that the other one has", async (option) => {
    const { ours, theirs } = await runBoth({ args: [option] });
    expect([ours.exitCode, theirs.exitCode]).toEqual([0, 0]);
    const options = theirs.stdout.match(/(?<![\w-])--?[a-z][a-z-]*/gi) ?? [];
    expect(options.length).toBeGreaterThan(20);
    for (const name of options) expect(ours.stdout).toContain(name);
  });

  test.each([[["-b", "help"]], [["--block-rpcs=?", "-x"]], [["-a", "?"]]])("%j lists the same order", async (args) => {
    const { ours, theirs } = await runBoth({ args });
    const [mine, other] = [ours, theirs].map(({ stdout }) => stdout.trim().split("\n"));
    expect(other?.length).toBeGreaterThan(30);
    expect(mine?.length).toBeGreaterThan(10);
    expect(mine?.filter((name) => other?.includes(name))).toEqual(other?.filter((name) => mine?.includes(name)));
    expect([ours.exitCode, theirs.exitCode]).toEqual([0, 0]);
  });
});
