/** Start, stop, background and state of inguest and of the real qemu-ga, and one taking over from the other. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { inguestCommand, type RunningAgent, startAgent } from "../lab/agent.ts";
import { obtainPeer } from "../lab/peer.ts";
import { type Finished, run, waitFor } from "../lab/process.ts";
import { connect, type Json } from "../lab/qga-client.ts";

const peer = await obtainPeer();
const AGENTS: readonly (readonly [string, readonly string[]])[] = [
  ["inguest", inguestCommand],
  ["qemu-ga", peer.command],
];

let folder: string;
const at = (name: string): string => join(folder, name);
const paths = () => ({ socketPath: at("socket"), stateDir: folder });
const running = new Set<RunningAgent>();
const daemons = new Set<number>();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "inguest-lifecycle-"));
});

afterEach(async () => {
  for (const agent of running) await agent.stop();
  for (const pid of daemons) kill(pid, "SIGKILL");
  running.clear();
  daemons.clear();
  rmSync(folder, { recursive: true });
});

/** Sends a signal; a process that is gone already is fine. */
function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(status(pid));
const status = (pid: number): string => readFileSync(`/proc/${pid}/status`, "utf8");
const gone = (pid: number): Promise<true> =>
  waitFor(
    () => (isAlive(pid) ? undefined : true),
    5000,
    () => `process ${pid} stays`,
  );

async function start(command: readonly string[], ...args: string[]): Promise<RunningAgent> {
  const agent = await startAgent(command, { ...paths(), args });
  running.add(agent);
  return agent;
}

/** Starts an agent in the background. */
async function detach(command: readonly string[], ...args: string[]): Promise<Finished> {
  const own = ["-d", "-m", "unix-listen", "-p", at("socket"), "-t", folder, "-f", at("pid"), "-l", at("log")];
  const finished = await run([...command, ...own, ...args], { timeoutMs: 10_000 });
  // The first process of qemu-ga ends before the second one has written its file.
  if (finished.exitCode === 0 && !existsSync(at("qga.state.isfrozen"))) {
    await waitFor(
      () => (pidInFile() === undefined ? undefined : true),
      2000,
      () => "no pid file",
    );
    daemons.add(pidInFile() ?? 0);
  }
  return finished;
}

function pidInFile(): number | undefined {
  const text = existsSync(at("pid")) ? readFileSync(at("pid"), "utf8") : "";
  return /^\d+\n$/.test(text) ? Number(text) : undefined;
}

async function ask(command: string, values?: Json): Promise<Json> {
  const client = await connect(at("socket"));
  try {
    await client.sync();
    return await client.call(command, values);
  } finally {
    client.close();
  }
}

describe.each(AGENTS)("%s", (_name, command) => {
  test.each(["SIGTERM", "SIGINT"] as const)("%s ends it with 0, a connected host or not", async (signal) => {
    for (const connected of [false, true]) {
      const agent = await start(command);
      const client = connected ? await connect(at("socket")) : undefined;
      await client?.sync();
      kill(agent.pid, signal);
      await gone(agent.pid);
      expect(await agent.stop()).toBe(0);
      client?.close();
    }
  });

  test("SIGTERM ends it with 0 while a child runs", async () => {
    const agent = await start(command);
    await ask("guest-exec", { path: "sleep", arg: ["1"] });
    expect(await agent.stop()).toBe(0);
  });

  test("in the background it is a daemon with a pid file", async () => {
    const { exitCode, stdout, stderr } = await detach(command);
    expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    const pid = pidInFile() ?? 0;
    expect(await ask("guest-ping")).toEqual({});
    expect(readlinkSync(`/proc/${pid}/cwd`)).toBe("/");
    expect([0, 1, 2].map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))).toEqual(Array(3).fill("/dev/null"));
    const [, , , parent, , session, terminal] = readFileSync(`/proc/${pid}/stat`, "utf8").split(" ");
    expect({ parent: Number(parent) === process.pid, session, terminal }).toEqual({
      parent: false,
      session: String(pid),
      terminal: "0",
    });
    expect(status(pid)).toContain(`Name:\t${basename(command[0] ?? "").slice(0, 15)}\n`);
    expect(status(pid)).toContain("Umask:\t0077\n");
    expect(statSync(at("pid")).mode & 0o777).toBe(0o600);
    kill(pid, "SIGTERM");
    await gone(pid);
    expect(existsSync(at("pid"))).toBe(false);
  });

  test("the log has a time, a level and a text", async () => {
    await detach(command, "-v");
    await ask("guest-ping");
    kill(pidInFile() ?? 0, "SIGTERM");
    await gone([...daemons][0] ?? 0);
    const lines = readFileSync(at("log"), "utf8").trimEnd().split("\n");
    // What qemu-ga logs may go over several lines.
    const records = command === inguestCommand ? lines : lines.filter((line) => /^\d{10}\./.test(line));
    expect(records.length).toBeGreaterThan(1);
    for (const line of records) expect(line).toMatch(/^\d{10}\.\d{6}: (debug|info|message|warning): ./);
  });

  test("a pid file that another one holds stops it", async () => {
    for (const [, other] of AGENTS) {
      await detach(other);
      const holder = pidInFile() ?? 0;
      const second = await detach(command, "-p", at("second"));
      await Bun.sleep(200);
      expect(pidInFile()).toBe(holder);
      if (command === inguestCommand) {
        expect(second.exitCode).toBe(1);
        expect(second.stderr).toBe(`inguest: lock ${at("pid")}: another agent has it, process ${holder}\n`);
        expect(existsSync(at("second"))).toBe(false);
      }
      kill(holder, "SIGTERM");
      await gone(holder);
    }
  });

  test("a pid file that nobody holds is taken over", async () => {
    writeFileSync(at("pid"), "1\n");
    await detach(command);
    await waitFor(
      () => ((pidInFile() ?? 1) > 1 ? true : undefined),
      2000,
      () => "the pid file is the old one",
    );
    daemons.delete(1);
    daemons.add(pidInFile() ?? 0);
    expect(await ask("guest-ping")).toEqual({});
  });

  test("found frozen, it touches no file before the thaw", async () => {
    writeFileSync(at("qga.state.isfrozen"), "");
    const { exitCode } = await detach(command, "-v", "-b", "guest-get-time");
    expect(exitCode).toBe(0);
    await waitFor(
      () => (existsSync(at("socket")) ? true : undefined),
      2000,
      () => "no socket",
    );
    expect(await ask("guest-fsfreeze-status")).toBe("frozen");
    expect(ask("guest-get-osinfo")).rejects.toThrow("disabled");
    for (const name of ["pid", "log", "qga.state"]) expect(existsSync(at(name))).toBe(false);

    expect(await ask("guest-fsfreeze-thaw")).toBeNumber();
    expect(await ask("guest-fsfreeze-status")).toBe("thawed");
    expect(existsSync(at("qga.state.isfrozen"))).toBe(false);
    const pid = pidInFile() ?? 0;
    daemons.add(pid);
    expect(isAlive(pid)).toBe(true);
    expect(await ask("guest-get-osinfo")).toContainKey("id");
    expect(ask("guest-get-time")).rejects.toThrow("disabled");
    kill(pid, "SIGTERM");
    await gone(pid);
    expect(readFileSync(at("log"), "utf8")).not.toBe("");
    expect(existsSync(at("pid"))).toBe(false);
  });

  test("SIGTERM is ignored while frozen", async () => {
    writeFileSync(at("qga.state.isfrozen"), "");
    const agent = await start(command);
    kill(agent.pid, "SIGTERM");
    kill(agent.pid, "SIGINT");
    expect(await ask("guest-fsfreeze-status")).toBe("frozen");
    await ask("guest-fsfreeze-thaw");
    expect(await agent.stop()).toBe(0);
  });

  test("the state file is there from the start", async () => {
    await start(command);
    expect(readFileSync(at("qga.state"), "utf8")).toBe("[global]\nfd_counter=1000\n");
  });
});

test("handles go on where the other agent left off", async () => {
  const handles: Json[] = [];
  for (const command of [peer.command, inguestCommand, inguestCommand, peer.command]) {
    const agent = await startAgent(command, paths());
    handles.push(await ask("guest-file-open", { path: "/dev/null" }));
    await agent.stop();
  }
  expect(handles).toEqual([1000, 1001, 1002, 1003]);
});

test.each(["text", "json", "journal"])(
  "--log-format %s has a line for each command, and none of its content",
  async (format) => {
    const agent = await start(inguestCommand, `--log-format=${format}`);
    const secret = Buffer.from("hunter2").toString("base64");
    await ask("guest-exec", { path: "true", arg: [secret], env: [`A=${secret}`], "input-data": secret });
    await ask("guest-file-open", { path: `/${secret}` }).catch(() => {});
    await agent.stop();
    const log = await agent.log();
    expect(log).not.toContain(secret);
    const lines = log.trimEnd().split("\n");
    expect(lines.map((line) => /(guest-[a-z-]+): (.*) in [\d.]+ ms/.exec(line)?.slice(1).join(" "))).toEqual([
      "guest-sync-delimited ok",
      "guest-exec ok",
      "guest-sync-delimited ok",
      "guest-file-open GenericError",
    ]);
    if (format === "json") expect(lines.map((line) => JSON.parse(line).outcome)).toContain("GenericError");
  },
);

const executable = process.env.INGUEST_EXECUTABLE;

test.if(executable !== undefined)("a link named qemu-ga is the agent too", async () => {
  symlinkSync(executable ?? "", at("qemu-ga"));
  await detach([at("qemu-ga")]);
  expect(await ask("guest-ping")).toEqual({});
  expect(status(pidInFile() ?? 0)).toContain("Name:\tqemu-ga\n");
});
