/** Input and hosts that mean no good, or do not care: the agent answers, keeps its size, and serves the next request. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inguestCommand, type RunningAgent, startAgent } from "../lab/agent.ts";
import { describeWith } from "../lab/apt.ts";
import { mustRun, waitFor } from "../lab/process.ts";
import { isObject, type Json, parseJson, printJson } from "../lab/qga-client.ts";
import { createRandom, inPieces } from "./random.ts";
import { readRecording } from "./recording.ts";
import { openWire, type Wire } from "./wire.ts";

setDefaultTimeout(180_000);

const MIB = 1024 * 1024;
/** The largest message, in qemu's buffer and in ours, beside what the agent is without it. */
const MOST_GROWTH = 300 * MIB;
/** What may stay when everything is over: the allocator keeps one block of the largest size for the next time. */
const LASTING_GROWTH = 96 * MIB;
const SEED = 7_919;

let folder: string;
let agent: RunningAgent;
let wire: Wire;
const socketPath = (): string => join(folder, "socket");

async function begin(args: readonly string[] = []): Promise<void> {
  folder = await mkdtemp(join(tmpdir(), "inguest-hostile-"));
  agent = await startAgent(inguestCommand, { socketPath: socketPath(), stateDir: join(folder, "state"), args });
  wire = await openWire(socketPath());
}

async function end(): Promise<void> {
  wire.close();
  const code = await agent.stop();
  const log = await agent.log();
  await rm(folder, { recursive: true, force: true });
  expect({ code, log }).toEqual({ code: 0, log: expect.not.stringContaining("unexpectedly") });
}

/** A line of /proc/PID/status, in bytes: VmRSS is the memory now, VmHWM the most there was. */
function memory(field: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${agent.pid}/status`, "utf8");
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) * 1024;
}

/** Forgets the most there was (proc(5), clear_refs). */
const resetPeak = (): Promise<number> => Bun.write(`/proc/${agent.pid}/clear_refs`, "5");

const descriptors = (): number => readdirSync(`/proc/${agent.pid}/fd`).length;

async function call(execute: string, args: { [member: string]: Json } = {}): Promise<Json> {
  return parseJson((await wire.exchange([printJson({ execute, arguments: args })])).reply);
}

async function result(execute: string, args: { [member: string]: Json } = {}): Promise<Json> {
  const reply = await call(execute, args);
  if (!isObject(reply) || reply.return === undefined) throw new Error(`${execute}: ${printJson(reply)}`);
  return reply.return;
}

async function failure(execute: string, args: { [member: string]: Json } = {}): Promise<string> {
  const reply = await call(execute, args);
  return isObject(reply) && isObject(reply.error) ? String(reply.error.desc) : printJson(reply);
}

async function expectUsable(): Promise<void> {
  const started = performance.now();
  const { reply, prompt } = await wire.exchange(['{"execute":"guest-ping"}']);
  expect({ reply, prompt }).toEqual({ reply: '{"return": {}}\n', prompt: true });
  expect(performance.now() - started).toBeLessThan(2_000);
}

const member = (value: Json, name: string): Json => (isObject(value) ? (value[name] ?? null) : null);

describe("bytes of any kind", () => {
  /** What mutations may turn requests into must not act on this machine. */
  const harmless = ["ping", "info", "sync", "sync-delimited", "get-osinfo", "get-host-name", "file-read", "file-write"];

  beforeAll(() => begin(["-a", harmless.map((name) => `guest-${name}`).join(",")]));
  afterAll(end);

  test("each byte alone, and doubled", async () => {
    for (let byte = 0; byte < 256; byte++) {
      await wire.exchange([Buffer.of(byte), Buffer.of(byte)], { patience: 0 });
    }
    await expectUsable();
  });

  test("random bytes", async () => {
    const random = createRandom(SEED);
    for (let round = 0; round < 200; round++) {
      await wire.exchange([random.bytes(1 + random.below(5_000))], { patience: 0 });
    }
    await expectUsable();
    expect(memory("VmRSS")).toBeLessThan(MOST_GROWTH);
  });

  test("tokens in random order", async () => {
    const random = createRandom(SEED);
    const tokens =
      '{ } [ ] , : "a" \'b\' "guest-ping" "execute" "arguments" "id" 1 -2.5 1e9 true null nul \\ \xfe \xc3'.split(" ");
    for (let round = 0; round < 300; round++) {
      const text = Array.from({ length: 1 + random.below(400) }, () => random.pick(tokens)).join(
        random.pick(["", " ", "\n"]),
      );
      await wire.exchange(inPieces(Buffer.from(text, "latin1"), random, 300), { patience: 0 });
    }
    await expectUsable();
  });

  test("recorded requests with bytes changed, left out and put in", async () => {
    const random = createRandom(SEED);
    const recorded = readRecording().map(({ send }) => Buffer.from(send, "latin1"));
    for (let round = 0; round < 1_500; round++) {
      const bytes = [...random.pick(recorded)];
      for (let changes = 1 + random.below(4); changes > 0; changes--) {
        const at = random.below(bytes.length + 1);
        bytes.splice(at, random.below(3), ...random.bytes(random.below(3)));
      }
      await wire.exchange([Buffer.from(bytes)], { patience: 0 });
    }
    await expectUsable();
    expect(descriptors()).toBeLessThan(40);
  });

  test("replies stay lines of JSON whatever was sent", async () => {
    const random = createRandom(SEED + 1);
    for (let round = 0; round < 200; round++) {
      const { reply } = await wire.exchange([random.bytes(1 + random.below(300))], { patience: 0 });
      for (const line of reply.split("\n").slice(0, -1)) {
        const value = parseJson(line);
        expect(isObject(value) && isObject(value.error) ? value.error.class : value).toBe("GenericError");
      }
    }
  });
});

describe("caps", () => {
  beforeAll(() => begin());
  afterAll(end);

  /** Sends a piece many times over and reads meanwhile. */
  async function flood(first: string, piece: Buffer, times: number, last: string): Promise<string> {
    const pieces = Array.from({ length: times }, () => piece);
    const { reply } = await wire.exchange([first, ...pieces, last], { patience: 60_000 });
    return reply;
  }

  async function withinMemory(action: () => Promise<void>): Promise<void> {
    await expectUsable();
    const before = memory("VmRSS");
    await resetPeak();
    await action();
    await expectUsable();
    expect(memory("VmHWM") - before).toBeLessThan(MOST_GROWTH);
    // A quiet moment is when the agent gives memory back.
    await waitFor(
      () => memory("VmRSS") - before < LASTING_GROWTH || undefined,
      20_000,
      () => `${(memory("VmRSS") - before) / MIB} MiB stayed`,
      500,
    );
  }

  const sizeError = /^\{"error": \{"class": "GenericError", "desc": "JSON token size limit exceeded"\}\}\n$/;
  const countError = /^\{"error": \{"class": "GenericError", "desc": "JSON token count limit exceeded"\}\}\n$/;

  test("a string of 65 MiB", () =>
    withinMemory(async () => {
      const reply = await flood('{"execute":"guest-ping","id":"', Buffer.alloc(MIB, "x"), 65, '"}');
      expect(reply).toMatch(sizeError);
    }));

  test("a string that never ends", () =>
    withinMemory(async () => {
      const reply = await flood('{"execute":"guest-ping","id":"', Buffer.alloc(MIB, "x"), 400, "");
      expect(reply).toMatch(sizeError);
    }));

  test("a string outside of a message that never ends", () =>
    withinMemory(async () => {
      const reply = await flood('"', Buffer.alloc(MIB, "x"), 100, "");
      expect(reply.split("\n")[0]).toContain("JSON token size limit exceeded");
      expect(reply.length).toBeLessThan(10_000);
    }));

  test("data of 65 MiB for a file", () =>
    withinMemory(async () => {
      const handle = await result("guest-file-open", { path: "/dev/null", mode: "w" });
      const start = `{"execute":"guest-file-write","arguments":{"handle":${printJson(handle)},"buf-b64":"`;
      const reply = await flood(start, Buffer.alloc(MIB, "A"), 65, '"}}');
      expect(reply).toStartWith('{"error": {"class": "GenericError", "desc": "JSON token size limit exceeded');
      await result("guest-file-close", { handle });
    }));

  test("2 097 153 tokens and more", () =>
    withinMemory(async () => {
      const reply = await flood("[", Buffer.alloc(MIB, "1,"), 6, "1]");
      expect(reply).toMatch(countError);
    }));

  test("a message just below the cap on tokens is taken", () =>
    withinMemory(async () => {
      const items = "1,".repeat(1_000_000);
      const { reply } = await wire.exchange([`{"execute":"guest-ping","id":[${items}1]}`]);
      expect(reply.length).toBe('{"return": {}, "id": [1]}\n'.length + 1_000_000 * "1, ".length);
    }));

  test("brackets without end", () =>
    withinMemory(async () => {
      const reply = await flood("", Buffer.alloc(MIB, "["), 20, "");
      expect(reply).toBe('{"error": {"class": "GenericError", "desc": "JSON nesting depth limit exceeded"}}\n');
    }));

  test("nothing but blanks", () =>
    withinMemory(async () => {
      const reply = await flood("{", Buffer.alloc(MIB, " "), 500, "}");
      expect(reply).toContain("QMP input lacks member 'execute'");
    }));

  test("words and numbers without end", () =>
    withinMemory(async () => {
      for (const character of ["a", "9"]) {
        const reply = await flood("", Buffer.alloc(MIB, character), 130, "");
        expect(reply).toStartWith('{"error": {"class": "GenericError", "desc": "JSON token size limit exceeded"}}\n');
        expect(reply.length).toBeLessThan(10_000);
      }
    }));

  test("errors quote no more than a little of what was sent", async () => {
    const { reply } = await wire.exchange([`{"execute":"${"x".repeat(100_000)}\x01"}`]);
    expect(reply.length).toBeLessThan(5_000);
    await expectUsable();
  });
});

describe("files", () => {
  beforeEach(() => begin());
  afterEach(end);

  test("handles and paths that do not exist", async () => {
    for (const command of ["close", "read", "flush"]) {
      expect(await failure(`guest-file-${command}`, { handle: 5 })).toBe("handle '5' has not been found");
    }
    expect(await failure("guest-file-open", { path: "/no/such" })).toBe(
      "failed to open file '/no/such' (mode: 'r'): No such file or directory",
    );
  });

  test("a directory opens, and reading it fails", async () => {
    const handle = await result("guest-file-open", { path: "/" });
    expect(await failure("guest-file-read", { handle })).toBe("failed to read file: Is a directory");
    expect(await result("guest-file-close", { handle })).toEqual({});
  });

  test("a pipe without a writer does not stop the agent", async () => {
    const path = join(folder, "pipe");
    await mustRun(["mkfifo", path]);
    const handle = await result("guest-file-open", { path });
    await call("guest-file-read", { handle });
    await expectUsable();
    expect(await failure("guest-file-open", { path, mode: "bad" })).toContain("invalid file open mode");
  });

  test("a file of 48 MiB is read whole and not a byte more", async () => {
    const path = join(folder, "large");
    await Bun.write(path, Buffer.alloc(49 * MIB, "q"));
    const handle = await result("guest-file-open", { path });
    const read = await result("guest-file-read", { handle, count: 48 * MIB });
    expect([member(read, "count"), member(read, "eof"), String(member(read, "buf-b64")).length]).toEqual([
      48 * MIB,
      false,
      64 * MIB,
    ]);
    expect(await failure("guest-file-read", { handle, count: 48 * MIB + 1 })).toBe(
      `value '${48 * MIB + 1}' is invalid for argument count`,
    );
  });
});

const isRoot = process.getuid?.() === 0;
describeWith("a full disk", isRoot ? { available: true } : { available: false, reason: "mounting needs root" }, () => {
  let mount: string;

  beforeAll(async () => {
    await begin();
    mount = join(folder, "disk");
    await mkdir(mount);
    await mustRun(["mount", "-t", "tmpfs", "-o", "size=1m", "inguest-test", mount]);
  });
  afterAll(async () => {
    await mustRun(["umount", "-l", mount]);
    await end();
  });

  test.each([10_000, 3 * MIB])("writing %d bytes at once until nothing is left", async (size) => {
    const path = join(mount, `file-${size}`);
    const handle = await result("guest-file-open", { path, mode: "w" });
    const data = Buffer.alloc(size, "d").toString("base64");
    let written = 0;
    let problem = "";
    for (let attempt = 0; attempt < 200 && problem === ""; attempt++) {
      const reply = await call("guest-file-write", { handle, "buf-b64": data });
      if (isObject(reply) && isObject(reply.error)) problem = String(reply.error.desc);
      else written += size;
    }
    expect(problem).toStartWith("failed to write to file: No space left on device");
    // What did get written is said.
    const part = Number(/\((\d+) bytes were written\)/.exec(problem)?.[1] ?? 0);
    await result("guest-file-close", { handle });
    expect(Bun.file(path).size).toBe(written + part);
    await Bun.file(path).delete();
    await expectUsable();
  });
});

describe("programs", () => {
  beforeAll(() => begin());
  afterAll(end);

  const start = async (args: { [member: string]: Json }): Promise<Json> =>
    member(await result("guest-exec", args), "pid");

  const ended = (pid: Json): Promise<Json> =>
    waitFor(
      async () => {
        const status = await result("guest-exec-status", { pid });
        return member(status, "exited") === true ? status : undefined;
      },
      120_000,
      () => `${printJson(pid)} did not end`,
      50,
    );

  /** Children of the agent that have ended and were not waited for. */
  const zombies = async (): Promise<string> =>
    (await mustRun(["ps", "--ppid", String(agent.pid), "-o", "stat=,args="]).catch(() => ""))
      .split("\n")
      .filter((line) => line.startsWith("Z"))
      .join("\n");

  test("one that never ends", async () => {
    const pid = await start({ path: "sleep", arg: ["100000"], "capture-output": true });
    for (let count = 0; count < 5; count++) {
      expect(await result("guest-exec-status", { pid })).toEqual({ exited: false });
      await expectUsable();
    }
    process.kill(Number(pid), "SIGKILL");
    expect(await ended(pid)).toEqual({ exited: true, signal: 9 });
  });

  test("one that prints gigabytes", async () => {
    const before = memory("VmRSS");
    await resetPeak();
    const pid = await start({ path: "sh", arg: ["-c", "yes | head -c 2000000000"], "capture-output": true });
    await expectUsable();
    await expectUsable();
    const status = await ended(pid);
    expect([member(status, "exitcode"), member(status, "out-truncated")]).toEqual([0, true]);
    const data = Buffer.from(String(member(status, "out-data")), "base64");
    expect(data.byteLength).toBe(16 * MIB);
    expect(data.equals(Buffer.alloc(16 * MIB, "y\n"))).toBe(true);
    expect(memory("VmHWM") - before).toBeLessThan(200 * MIB);
  });

  test("one that prints on both streams without end is served beside requests", async () => {
    const pid = await start({ path: "sh", arg: ["-c", "yes & yes >&2"], "capture-output": "separated" });
    for (let count = 0; count < 20; count++) {
      await expectUsable();
      await Bun.sleep(100);
    }
    // The shell and what it has started.
    const children = (await mustRun(["pgrep", "-P", String(pid)])).trim().split("\n").map(Number);
    for (const child of [Number(pid), ...children]) process.kill(child, "SIGKILL");
    const status = await ended(pid);
    expect([member(status, "out-truncated"), member(status, "err-truncated")]).toEqual([true, true]);
  });

  test("one that does not read its input, and one that leaves early", async () => {
    const input = Buffer.alloc(4 * MIB, "i").toString("base64");
    const sleeper = await start({ path: "sleep", arg: ["0.5"], "input-data": input });
    const leaver = await start({ path: "true", "input-data": input });
    await expectUsable();
    expect(await ended(leaver)).toMatchObject({ exitcode: 0 });
    expect(await ended(sleeper)).toMatchObject({ exitcode: 0 });
  });

  test("many at once, none left as a zombie, no descriptor lost", async () => {
    const before = descriptors();
    const pids: Json[] = [];
    for (let count = 0; count < 100; count++)
      pids.push(await start({ path: "echo", arg: [String(count)], "capture-output": true }));
    for (const [count, pid] of pids.entries()) {
      expect(Buffer.from(String(member(await ended(pid), "out-data")), "base64").toString()).toBe(`${count}\n`);
    }
    expect(await zombies()).toBe("");
    expect(descriptors()).toBe(before);
  });

  test("nobody asks how they ended, and they are no zombies all the same", async () => {
    for (let count = 0; count < 20; count++) await start({ path: "true" });
    await waitFor(async () => ((await zombies()) === "" ? true : undefined), 5_000, zombies);
  });
});

describe("hosts that go, or stop reading", () => {
  beforeAll(() => begin());
  afterAll(end);

  const reconnect = async (): Promise<void> => {
    wire.close();
    // Only one host may wait while another is served, as with qemu-ga; a third is refused until then.
    wire = await waitFor(
      () => openWire(socketPath()).catch(() => undefined),
      5_000,
      () => "no connection",
    );
  };

  test("in the middle of a request", async () => {
    await expectUsable();
    const before = descriptors();
    for (const half of [
      '{"execute":"guest-pi',
      '{"execute":"guest-ping","id":"',
      "[[[[",
      '"abc',
      "{'a':",
      "\xff{",
      "nul",
      "-",
    ]) {
      wire.send(half);
      await reconnect();
      await expectUsable();
    }
    expect(descriptors()).toBe(before);
  });

  test("in the middle of a write", async () => {
    const path = join(folder, "half");
    const handle = await result("guest-file-open", { path, mode: "w" });
    const start = `{"execute":"guest-file-write","arguments":{"handle":${printJson(handle)},"buf-b64":"`;
    wire.send(`${start}${"QUJD".repeat(50_000)}`);
    await waitFor(
      () => Bun.file(path).size > 0 || undefined,
      5_000,
      () => "nothing was written",
    );
    await reconnect();
    await expectUsable();
    expect(await result("guest-file-close", { handle })).toEqual({});
  });

  test("in the middle of a reply", async () => {
    const path = join(folder, "large");
    await Bun.write(path, Buffer.alloc(40 * MIB, "r"));
    const before = descriptors();
    const resident = memory("VmRSS");
    for (let round = 0; round < 10; round++) {
      const handle = await result("guest-file-open", { path });
      wire.send(`{"execute":"guest-file-read","arguments":{"handle":${printJson(handle)},"count":${40 * MIB}}}`);
      await waitFor(
        () => wire.received().byteLength > 0 || undefined,
        5_000,
        () => "no reply began",
      );
      await reconnect();
      expect(await result("guest-file-close", { handle })).toEqual({});
    }
    expect(descriptors()).toBe(before);
    expect(memory("VmRSS") - resident).toBeLessThan(64 * MIB);
  });

  test("while a command is at work for them", async () => {
    const pid = member(await result("guest-exec", { path: "sleep", arg: ["0.2"] }), "pid");
    await reconnect();
    // What one host has started the next one can ask about, as with qemu-ga.
    await waitFor(
      async () => member(await result("guest-exec-status", { pid }), "exited") === true || undefined,
      5_000,
      () => "the program did not end",
    );
  });

  test("one that asks on and on and does not read", async () => {
    const count = 200_000;
    const before = memory("VmRSS");
    wire.pause();
    wire.send(Buffer.from('{"execute":"guest-ping"}\n'.repeat(count)));
    await Bun.sleep(1_500);
    expect(memory("VmRSS") - before).toBeLessThan(100 * MIB);
    wire.resume();
    const total = count * '{"return": {}}\n'.length;
    await waitFor(
      () => wire.received().byteLength >= total || undefined,
      60_000,
      () => `${wire.received().byteLength} of ${total}`,
      200,
    );
    expect(wire.received().equals(Buffer.from('{"return": {}}\n'.repeat(count)))).toBe(true);
    await expectUsable();
  });

  test("one that wants a large file and does not read", async () => {
    const path = join(folder, "patience");
    await Bun.write(path, Buffer.alloc(40 * MIB, "p"));
    const handle = await result("guest-file-open", { path });
    const before = memory("VmRSS");
    wire.pause();
    wire.send(`{"execute":"guest-file-read","arguments":{"handle":${printJson(handle)},"count":${40 * MIB}}}`);
    await Bun.sleep(700);
    expect(memory("VmRSS") - before).toBeLessThan(40 * MIB);
    wire.resume();
    await waitFor(
      () => wire.received().includes("\n") || undefined,
      30_000,
      () => "the reply did not end",
      100,
    );
    const reply = parseJson(wire.received().toString("latin1"));
    expect(isObject(reply) ? member(reply.return ?? null, "count") : reply).toBe(40 * MIB);
    await expectUsable();
  });

  test("one that comes and goes a hundred times, sometimes without a word", async () => {
    await expectUsable();
    const before = descriptors();
    for (let round = 0; round < 100; round++) {
      await reconnect();
      if (round % 3 === 0) wire.send("\xff{");
      else if (round % 3 === 1) await expectUsable();
    }
    await reconnect();
    await expectUsable();
    expect(descriptors()).toBe(before);
  });
});
