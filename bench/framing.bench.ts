/** How fast bytes become requests, and what a request costs up to its reply. */
import { guest } from "../platform/linux/guest.ts";
import { supportedCommands } from "../src/dialect/qga/table.ts";
import { createJsonStream, type LongString } from "../src/framing/json-stream.ts";
import { requestBytes } from "./client.ts";
import { type Case, OWN_BUDGET, printTimings, silentHost, type Timing, timings } from "./in-process.ts";

/** What a channel reads at once. */
const CHUNK = 256 * 1024;
const WRITE_BYTES = 1024 * 1024;

const data = Buffer.alloc(WRITE_BYTES, "qwertyuiop").toString("base64");
const SINK: LongString = { slice: () => {}, abort: () => "" };

/** Gives `text` to a framer in chunks of that size. */
function framing(name: string, text: Buffer, chunk: number, streamed: boolean): Case {
  const stream = createJsonStream(
    { value: () => {}, error: (reason) => fail(name, reason), longString: () => (streamed ? SINK : undefined) },
    () => false,
  );
  // As in a channel, the bytes are always in the same buffer.
  const incoming = Buffer.alloc(chunk);
  return {
    name: `framing: ${name}`,
    bytes: text.byteLength,
    run() {
      for (let at = 0; at < text.byteLength; at += chunk) {
        stream.push(incoming, 0, text.copy(incoming, 0, at, at + chunk));
      }
    },
  };
}

const fail = (name: string, reason: string): never => {
  throw new Error(`${name}: ${reason}`);
};

const repeated = (request: Buffer, bytes: number): Buffer =>
  Buffer.concat(Array.from({ length: Math.floor(bytes / request.byteLength) }, () => request));

const pings = repeated(requestBytes("guest-ping"), CHUNK);
const write = requestBytes("guest-file-write", { handle: 1, "buf-b64": data });
const dense = requestBytes("guest-ping", { list: Array.from({ length: 20_000 }, (_, index) => String(index)) });

const FRAMING: readonly Case[] = [
  framing("small requests", pings, CHUNK, false),
  framing("small requests, a byte at a time", repeated(requestBytes("guest-ping"), 16 * 1024), 1, false),
  framing("1 MiB write, streamed", write, CHUNK, true),
  framing("1 MiB write, streamed, in 1 KiB chunks", write, 1024, true),
  framing("1 MiB write, streamed, a byte at a time", write, 1, true),
  framing("1 MiB write, kept in memory", write, CHUNK, false),
  framing("text dense in quotes", dense, CHUNK, false),
];

/** The whole way of a request without a socket: framing, arguments, command, reply. */
function dispatching(): Case[] {
  const host = silentHost();
  const plain = supportedCommands(guest)
    .map(({ name }) => name)
    .filter((name) => /^guest-(?:get|network)-|^guest-(?:ping|info)$/.test(name));
  return plain.map((name) => {
    const request = requestBytes(name);
    host.send(request);
    // A command that waits for a child gives no reply here, as nobody turns the agent's loop.
    if (!host.reply.startsWith('{"return"')) throw new Error(`${name}: ${host.reply}`);
    return { name: `request: ${name}`, run: () => host.send(request) };
  });
}

/** @param budget milliseconds for each */
export const framingTimings = async (budget: number): Promise<Timing[]> =>
  timings([...FRAMING, ...dispatching()], budget);

if (import.meta.main) printTimings("In process", await framingTimings(OWN_BUDGET));
