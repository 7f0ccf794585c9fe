/** Files go through the agent in flat memory, however large the request. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startAgent } from "../lab/agent.ts";
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

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "inguest-memory-"));
});

afterAll(() => rm(folder, { recursive: true }));

type Work = (host: QgaClient, handle: Json) => Promise<void>;

/**
 * Watches the anonymous memory of a fresh agent while `work` is done with a file that it has open.
 * @returns the peak above what there was before, KiB
 */
async function peakOf(path: string, mode: string, work: Work): Promise<number> {
  const socketPath = join(folder, "a.sock");
  const agent = await startAgent([await compiledAgent()], { socketPath, stateDir: folder });
  const host = await connect(socketPath);
  try {
    const handle = await host.call("guest-file-open", { path, mode });
    await Bun.sleep(SETTLED_MS);
    const before = statusField(agent.pid, "RssAnon");
    let peak = before;
    const look = (): void => {
      peak = Math.max(peak, statusField(agent.pid, "RssAnon"));
    };
    const timer = setInterval(look, SAMPLE_MS);
    await work(host, handle).finally(() => clearInterval(timer));
    look();
    return peak - before;
  } finally {
    host.close();
    await agent.stop();
  }
}

/** The median of three: what the engine compiles meanwhile differs from run to run. */
async function usualPeakOf(path: string, mode: string, work: Work): Promise<number> {
  const peaks: number[] = [];
  for (let run = 0; run < 3; run++) peaks.push(await peakOf(path, mode, work));
  return peaks.toSorted((one, other) => one - other)[1] ?? Number.NaN;
}

const CHUNK = Buffer.alloc(65_536, "chunk").toString("base64");
const random = Buffer.alloc(SIZE);
for (let at = 0; at < SIZE; at += 65_536) crypto.getRandomValues(random.subarray(at, Math.min(at + 65_536, SIZE)));
const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

test("a read of 48 MB", async () => {
  const path = join(folder, "read");
  await Bun.write(path, random);
  const peak = await usualPeakOf(path, "r", async (host, handle) => {
    const reply = await host.call("guest-file-read", { handle, count: SIZE }, { timeoutMs: 60_000 });
    expect(reply).toMatchObject({ count: SIZE, eof: false });
    expect(digest(Buffer.from(String(Object(reply)["buf-b64"]), "base64"))).toBe(digest(random));
  });
  expect(peak).toBeLessThan(CAP);
}, 60_000);

test("a write of 48 MB", async () => {
  const path = join(folder, "written");
  const content = random.toString("base64");
  const peak = await usualPeakOf(path, "w", async (host, handle) => {
    const reply = await host.call("guest-file-write", { handle, "buf-b64": content }, { timeoutMs: 60_000 });
    expect(reply).toEqual({ count: SIZE, eof: false });
    await host.call("guest-file-flush", { handle });
    expect(digest(await Bun.file(path).bytes())).toBe(digest(random));
  });
  expect(peak).toBeLessThan(CAP);
}, 60_000);

type Ask = (host: QgaClient, handle: Json) => Promise<unknown>;
const readMebibyte: Ask = async (host, handle) => {
  await host.call("guest-file-read", { handle, count: 1 << 20 });
  await host.call("guest-file-seek", { handle, offset: 0, whence: "set" });
};
const writeChunk: Ask = (host, handle) => host.call("guest-file-write", { handle, "buf-b64": CHUNK });

test.each([
  ["reads of 1 MiB", 1_000, readMebibyte],
  ["writes of 64 KiB", 10_000, writeChunk],
] as const)(
  "%s, %d without a pause",
  async (_, count, ask) => {
    const path = join(folder, "many");
    await Bun.write(path, random.subarray(0, 2 << 20));
    const peak = await peakOf(path, "r+", async (host, handle) => {
      for (let asked = 0; asked < count; asked++) await ask(host, handle);
    });
    expect(peak).toBeLessThan(MANY_CAP);
  },
  60_000,
);
