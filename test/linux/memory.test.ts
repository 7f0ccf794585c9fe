/** Files go through the agent in flat memory, however large the request. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningAgent, startAgent } from "../lab/agent.ts";
import { connect, type Json, type QgaClient } from "../lab/qga-client.ts";
import { compiledAgent } from "../vm/agent.ts";
import { statusField } from "./resources.ts";

/** The most that a request can move: its base64 stays below 64 MiB. */
const SIZE = 48_000_000;
/** KiB that a transfer may take beyond what the idle agent has. */
const CAP = 8 * 1024;
/** The same for many requests without a pause: what they have in common, such as code made for them, is in it. */
const MANY_CAP = 20 * 1024;
const SAMPLE_MS = 2;
const SETTLED_MS = 2500;

let folder: string;
let agent: RunningAgent;
let host: QgaClient;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "inguest-memory-"));
  agent = await startAgent([await compiledAgent()], { socketPath: join(folder, "a.sock"), stateDir: folder });
  host = await connect(join(folder, "a.sock"));
  await host.sync();
  await Bun.sleep(SETTLED_MS);
});

afterAll(async () => {
  host.close();
  await agent.stop();
  await rm(folder, { recursive: true });
});

/** Watches the agent's anonymous memory while `work` is done. @returns the peak above what there was before, KiB */
async function peakOf(work: () => Promise<void>): Promise<number> {
  const before = statusField(agent.pid, "RssAnon");
  let peak = before;
  const timer = setInterval(() => {
    peak = Math.max(peak, statusField(agent.pid, "RssAnon"));
  }, SAMPLE_MS);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return Math.max(peak, statusField(agent.pid, "RssAnon")) - before;
}

const CHUNK = Buffer.alloc(65_536, "chunk").toString("base64");
const random = Buffer.alloc(SIZE);
for (let at = 0; at < SIZE; at += 65_536) crypto.getRandomValues(random.subarray(at, Math.min(at + 65_536, SIZE)));
const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

test("a read of 48 MB", async () => {
  const path = join(folder, "read");
  await Bun.write(path, random);
  const handle = await host.call("guest-file-open", { path });
  let base64 = "";
  const peak = await peakOf(async () => {
    const reply = await host.call("guest-file-read", { handle, count: SIZE }, { timeoutMs: 60_000 });
    expect(reply).toMatchObject({ count: SIZE, eof: false });
    base64 = String(Object(reply)["buf-b64"]);
  });
  expect(digest(Buffer.from(base64, "base64"))).toBe(digest(random));
  expect(peak).toBeLessThan(CAP);
});

test("a write of 48 MB", async () => {
  const path = join(folder, "written");
  const handle = await host.call("guest-file-open", { path, mode: "w" });
  const content = random.toString("base64");
  const peak = await peakOf(async () => {
    const reply = await host.call("guest-file-write", { handle, "buf-b64": content }, { timeoutMs: 60_000 });
    expect(reply).toEqual({ count: SIZE, eof: false });
  });
  await host.call("guest-file-close", { handle });
  expect(digest(await Bun.file(path).bytes())).toBe(digest(random));
  expect(peak).toBeLessThan(CAP);
});

test.each([
  [
    "reads of 1 MiB",
    1_000,
    async (handle: Json) => {
      await host.call("guest-file-read", { handle, count: 1 << 20 });
      await host.call("guest-file-seek", { handle, offset: 0, whence: "set" });
    },
  ],
  ["writes of 64 KiB", 10_000, (handle: Json) => host.call("guest-file-write", { handle, "buf-b64": CHUNK })],
] as const)(
  "%s, %d without a pause",
  async (_, count, ask) => {
    const path = join(folder, "many");
    await Bun.write(path, random.subarray(0, 2 << 20));
    const handle = await host.call("guest-file-open", { path, mode: "r+" });
    const peak = await peakOf(async () => {
      for (let asked = 0; asked < count; asked++) await ask(handle);
    });
    await host.call("guest-file-close", { handle });
    expect(peak).toBeLessThan(MANY_CAP);
  },
  60_000,
);
