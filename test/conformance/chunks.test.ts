/** What is answered must not depend on how the bytes are cut. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isJsonObject, type Json, toJson, type Writable } from "../../src/framing/json.ts";
import { createJsonStream, type LongString } from "../../src/framing/json-stream.ts";
import { inguestCommand, type RunningAgent, startAgent } from "../lab/agent.ts";
import { createRandom, inPieces } from "./random.ts";
import { readRecording } from "./recording.ts";
import { MORE_REQUESTS } from "./requests.ts";
import { openWire, type Wire } from "./wire.ts";

setDefaultTimeout(120_000);

const SEED = 20_251;
const requests = [...readRecording(), ...MORE_REQUESTS].map(({ name, send }) => ({
  name,
  bytes: Buffer.from(send.replaceAll("{H}", "1000").replaceAll("{FILE}", "/tmp/x"), "latin1"),
}));
/** Longer ones are cut at some places only. */
const SHORT = 600;
const short = requests.filter(({ bytes }) => bytes.byteLength <= SHORT);
const long = requests.filter(({ bytes }) => bytes.byteLength > SHORT);

/** Takes the body of a long string and gives it back as part of the value. */
interface Taken extends LongString {
  readonly member: string;
  readonly slices: Buffer[];
}

/** What the framer makes of the pieces: values and errors, one a line. */
function framed(pieces: readonly Buffer[]): string {
  const lines: string[] = [];
  const takers = new Map<LongString, Taken>();
  const complete = (value: Json, body: LongString | undefined): Writable => {
    const taken = body === undefined ? undefined : takers.get(body);
    if (taken === undefined || !isJsonObject(value)) return value;
    const given = value.arguments;
    if (given === undefined || !isJsonObject(given)) throw new Error("a long string that is no argument");
    return { ...value, arguments: { ...given, [taken.member]: Buffer.concat(taken.slices).toString() } };
  };
  const stream = createJsonStream(
    {
      value: (value, body) => lines.push(toJson(complete(value, body))),
      error: (text) => lines.push(`error: ${text}`),
      longString: (_message, member) => {
        const slices: Buffer[] = [];
        const taken: Taken = {
          member,
          slices,
          slice: (bytes, start, end) => slices.push(Buffer.from(bytes.subarray(start, end))),
          abort: () => "",
        };
        takers.set(taken, taken);
        return taken;
      },
    },
    () => false,
  );
  for (const piece of pieces) {
    const stopped = stream.push(piece, 0, piece.byteLength);
    if (stopped !== piece.byteLength) throw new Error(`stopped at ${stopped} of ${piece.byteLength}`);
  }
  return lines.join("\n");
}

const splitAt = (bytes: Buffer, at: number): Buffer[] => [bytes.subarray(0, at), bytes.subarray(at)];
const byBytes = (bytes: Buffer): Buffer[] => Array.from(bytes, (byte) => Buffer.of(byte));

/** Fails with what was sent, not with a whole megabyte. */
function expectSame(pieces: readonly Buffer[], whole: string, what: string): void {
  const cut = framed(pieces);
  if (cut !== whole) expect(`${what}: ${cut.slice(0, 400)}`).toBe(`${what}: ${whole.slice(0, 400)}`);
}

describe("the framer", () => {
  const whole = new Map(requests.map(({ name, bytes }) => [name, framed([bytes])]));

  test(`each of ${short.length} requests, split at every byte`, () => {
    for (const { name, bytes } of short) {
      for (let at = 1; at < bytes.byteLength; at++)
        expectSame(splitAt(bytes, at), whole.get(name)!, `${name} at ${at}`);
    }
  });

  test(`each of ${requests.length} requests, one byte at a time`, () => {
    for (const { name, bytes } of requests) expectSame(byBytes(bytes), whole.get(name)!, name);
  });

  test("each request in random pieces", () => {
    const random = createRandom(SEED);
    for (const { name, bytes } of requests) {
      for (const longest of [3, 17, 100, 70_000]) {
        expectSame(inPieces(bytes, random, longest), whole.get(name)!, `${name} up to ${longest}`);
      }
    }
  });

  test("long requests, split at many places", () => {
    expect(long.length).toBeGreaterThan(3);
    const random = createRandom(SEED);
    for (const { name, bytes } of long) {
      for (let count = 0; count < 100; count++) {
        const at = random.below(bytes.byteLength);
        expectSame(splitAt(bytes, at), whole.get(name)!, `${name} at ${at}`);
      }
    }
  });

  test("each short request with a 0xFF at every place, whole and in pieces", () => {
    const reset = Buffer.of(0xff);
    const ping = Buffer.from('{"execute":"guest-ping"}\n');
    for (const { name, bytes } of short) {
      for (let at = 0; at <= bytes.byteLength; at++) {
        const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
        const together = Buffer.concat([before, reset, after, reset, ping]);
        const result = framed([together]);
        expectSame([before, reset, after, reset, ping], result, `${name} at ${at}`);
        // Whatever stood before it, a request behind a 0xFF is understood.
        if (!result.endsWith('{"execute": "guest-ping"}')) throw new Error(`${name} at ${at}: ${result.slice(-300)}`);
      }
    }
  });

  test("all requests as one stream, in random pieces", () => {
    const stream = Buffer.concat(requests.flatMap(({ bytes }) => [bytes, Buffer.of(0xff)]));
    const result = framed([stream]);
    const random = createRandom(SEED);
    for (const longest of [1, 2, 50, 4096, 300_000])
      expectSame(inPieces(stream, random, longest), result, `${longest}`);
  });
});

describe("the agent", () => {
  /** Requests that change nothing and are answered alike each time. */
  const steady = [
    '{"execute":"guest-ping"}',
    '{"execute":"guest-sync","arguments":{"id":9007199254740993}}',
    '{"execute":"guest-ping","id":"\u00c3\u00a9"}',
    "{'execute':'guest-sync-delimited','arguments':{'id':7}}",
    '{"execute":"guest-get-osinfo"}',
    '{"execute":"guest-nothing"}',
    '{"execute":"guest-ping","arguments":{"x":[1,2,{"y":null}]}}',
    '{"execute":"guest-ping","id":[1 2]}',
    '{"execute":"guest-file-write","arguments":{"handle":77,"buf-b64":"YQ=="}}',
    "hello",
    "]",
  ];
  let folder: string;
  let agent: RunningAgent;
  let wire: Wire;
  const singly: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "inguest-chunks-"));
    agent = await startAgent(inguestCommand, { socketPath: join(folder, "socket"), stateDir: folder });
    wire = await openWire(join(folder, "socket"));
    for (const text of steady) singly.push((await wire.exchange([`${text}\n`])).reply);
  });

  afterAll(async () => {
    wire?.close();
    await agent?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test("answers requests that come one byte at a time", async () => {
    for (const [index, text] of steady.entries()) {
      const { reply } = await wire.exchange(byBytes(Buffer.from(`${text}\n`, "latin1")));
      expect(reply).toBe(singly[index] ?? "");
    }
  });

  test("answers requests that come all at once, in their order", async () => {
    const { reply } = await wire.exchange([`${steady.join("\n")}\n`]);
    expect(reply).toBe(singly.join(""));
  });

  test("answers a long stream of requests in random pieces", async () => {
    const random = createRandom(SEED);
    const order = Array.from({ length: 400 }, () => random.below(steady.length));
    const stream = Buffer.from(order.map((index) => `${steady[index]}\n`).join(""), "latin1");
    const { reply } = await wire.exchange(inPieces(stream, random, 40));
    expect(reply).toBe(order.map((index) => singly[index]).join(""));
  });

  test("writes the same file however the request is cut", async () => {
    const data = createRandom(SEED).bytes(200_000);
    const path = join(folder, "data");
    for (const longest of [500, 5_000, 400_000]) {
      const opened = (await wire.exchange([`{"execute":"guest-file-open","arguments":{"path":"${path}","mode":"w"}}`]))
        .reply;
      const handle = /\d+/.exec(opened)?.[0];
      const write = `{"execute":"guest-file-write","arguments":{"handle":${handle},"buf-b64":"${data.toString("base64")}"}}`;
      const { reply } = await wire.exchange(inPieces(Buffer.from(write), createRandom(longest), longest));
      expect(reply).toBe(`{"return": {"count": ${data.byteLength}, "eof": false}}\n`);
      await wire.exchange([`{"execute":"guest-file-close","arguments":{"handle":${handle}}}`]);
      expect(Buffer.from(await Bun.file(path).bytes()).equals(data)).toBe(true);
    }
  });
});
