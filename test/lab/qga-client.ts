/** The host's side of the QEMU guest agent protocol on a unix socket, for tests. Every wait has a time limit. */

import { createConnection, type Socket } from "node:net";
import { within } from "./process.ts";

/** A JSON value; integers beyond 2^53 are bigint so that they stay exact. */
export type Json = null | boolean | number | bigint | string | Json[] | { [key: string]: Json };

/** An error reply of the agent. */
export class AgentError extends Error {
  readonly class: string;
  readonly desc: string;

  constructor(errorClass: string, desc: string) {
    super(`${errorClass}: ${desc}`);
    this.class = errorClass;
    this.desc = desc;
  }
}

/** Options of one exchange. */
export interface CallOptions {
  /** Milliseconds to wait for the reply; 10 000 unless told. */
  timeoutMs?: number;
}

/** A connection to an agent. */
export interface QgaClient {
  /** guest-sync-delimited with a fresh id: whatever was left over before is thrown away. Repeated until answered. */
  sync(options?: CallOptions): Promise<void>;
  /** Runs a command and gives the value of `return`. Throws {@link AgentError} for an error reply. */
  call(execute: string, args?: Json, options?: CallOptions): Promise<Json>;
  /** Sends a command and waits for no reply: for those that give none when they succeed. */
  send(execute: string, args?: Json): void;
  /** Sends bytes as they are, and gives all that comes back until nothing more has come for `quietMs` (default 150). */
  raw(bytes: Uint8Array | string, options?: CallOptions & { quietMs?: number }): Promise<Uint8Array>;
  /** The next complete line that the agent sends, without its newline. */
  line(options?: CallOptions): Promise<string>;
  close(): void;
}

/** Connects to the agent's socket. It is not needed that the agent answers yet: see {@link QgaClient.sync}. */
export async function connect(path: string, timeoutMs = 5_000): Promise<QgaClient> {
  return clientOf(await openSocket(path, timeoutMs), path);
}

/** Opens a unix stream socket. */
export async function openSocket(path: string, timeoutMs = 5_000): Promise<Socket> {
  const socket = createConnection({ path });
  const opened = Promise.withResolvers<void>();
  socket.once("connect", () => opened.resolve());
  socket.once("error", (error) => opened.reject(error));
  try {
    await within(opened.promise, timeoutMs, () => `no connection to ${path} within ${timeoutMs} ms`);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return socket;
}

/** Parses JSON; integers that a number cannot hold become bigint. */
export function parseJson(text: string): Json {
  // The reviver makes parsing slow, and hardly any reply needs it.
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key: string, value: Json, context?: { source?: string }) => {
    const source = context?.source ?? "";
    const isLong = typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(source);
    return isLong ? BigInt(source) : value;
  });
}

/** Writes JSON; bigint values are written in full. */
export function printJson(value: Json): string {
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return `[${value.map(printJson).join(", ")}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const members = Object.entries(value).map(([key, member]) => `${JSON.stringify(key)}: ${printJson(member)}`);
  return `{${members.join(", ")}}`;
}

/** What happens to incoming bytes is one of two things at any time: they are cut into lines, or collected as they are. */
interface LineReader {
  /** Next line, 0xFF bytes left in. */
  next(timeoutMs: number): Promise<Uint8Array>;
  /** Diverts all bytes to `sink` until told to stop with undefined; whole and half lines so far are dropped. */
  divert(sink: ((chunk: Uint8Array) => void) | undefined): void;
}

function lineReader(socket: Socket, path: string): LineReader {
  const lines: Uint8Array[] = [];
  const waiting: PromiseWithResolvers<Uint8Array>[] = [];
  let partial: Uint8Array[] = [];
  let divertTo: ((chunk: Uint8Array) => void) | undefined;
  let closed: Error | undefined;

  socket.on("data", (chunk: Buffer) => {
    if (divertTo !== undefined) {
      divertTo(chunk);
      return;
    }
    let rest: Uint8Array = chunk;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      partial.push(rest.subarray(0, end));
      const line = Buffer.concat(partial);
      partial = [];
      rest = rest.subarray(end + 1);
      const waiter = waiting.shift();
      if (waiter === undefined) lines.push(line);
      else waiter.resolve(line);
    }
    if (rest.length > 0) partial.push(rest);
  });
  const end = (error: Error): void => {
    closed ??= error;
    for (const waiter of waiting.splice(0)) waiter.reject(closed);
  };
  socket.on("error", end);
  socket.on("close", () => end(new Error(`${path} was closed`)));

  return {
    async next(timeoutMs) {
      const ready = lines.shift();
      if (ready !== undefined) return ready;
      if (closed !== undefined) throw closed;
      const waiter = Promise.withResolvers<Uint8Array>();
      waiting.push(waiter);
      try {
        return await within(waiter.promise, timeoutMs, () => `no reply on ${path} within ${timeoutMs} ms`);
      } finally {
        const index = waiting.indexOf(waiter);
        if (index >= 0) waiting.splice(index, 1);
      }
    },
    divert(sink) {
      lines.length = 0;
      partial = [];
      divertTo = sink;
    },
  };
}

/** Whether a JSON value is an object, and not an array or null. */
export function isObject(value: Json | undefined): value is { [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function clientOf(socket: Socket, path: string): QgaClient {
  const reader = lineReader(socket, path);
  const defaultTimeout = 10_000;

  const send = (execute: string, args?: Json): void => {
    socket.write(`${printJson(args === undefined ? { execute } : { execute, arguments: args })}\n`);
  };

  const line = async (options: CallOptions = {}): Promise<string> => {
    const bytes = await reader.next(options.timeoutMs ?? defaultTimeout);
    return Buffer.from(bytes.subarray(bytes.lastIndexOf(0xff) + 1)).toString("utf8");
  };

  /** Sends one guest-sync-delimited and reads until its answer or the deadline; says whether it came. */
  const syncOnce = async (deadline: number): Promise<boolean> => {
    const id = Math.floor(Math.random() * 2 ** 31);
    const request = printJson({ execute: "guest-sync-delimited", arguments: { id } });
    socket.write(Buffer.concat([Buffer.of(0xff), Buffer.from(`${request}\n`)]));
    for (;;) {
      const reply = await reader.next(deadline - performance.now()).catch((error: unknown) => {
        // A timer may ring a moment early.
        if (performance.now() < deadline - 5) throw error;
      });
      if (reply === undefined) return false;
      const start = reply.lastIndexOf(0xff);
      if (start < 0) continue;
      const value = parseJson(Buffer.from(reply.subarray(start + 1)).toString("utf8"));
      if (isObject(value) && value.return === id) return true;
    }
  };

  const sync = async (options: CallOptions = {}): Promise<void> => {
    const timeoutMs = options.timeoutMs ?? defaultTimeout;
    const deadline = performance.now() + timeoutMs;
    // A serial line without a listener loses the request, so it is sent again every two seconds.
    while (!(await syncOnce(Math.min(deadline, performance.now() + 2_000)))) {
      if (performance.now() >= deadline)
        throw new Error(`${path}: no answer to guest-sync-delimited in ${timeoutMs} ms`);
    }
  };

  const call = async (execute: string, args?: Json, options: CallOptions = {}): Promise<Json> => {
    send(execute, args);
    const text = await line(options).catch((error: unknown) => {
      throw new Error(`${execute}: ${error instanceof Error ? error.message : String(error)}`);
    });
    const reply = parseJson(text);
    if (!isObject(reply)) throw new Error(`${execute}: not a reply: ${text}`);
    const { error } = reply;
    if (isObject(error)) throw new AgentError(String(error.class), String(error.desc));
    const value = reply.return;
    if (value === undefined) throw new Error(`${execute}: neither return nor error: ${text}`);
    return value;
  };

  const raw: QgaClient["raw"] = async (bytes, options = {}) => {
    const quietMs = options.quietMs ?? 150;
    const chunks: Uint8Array[] = [];
    let last = performance.now();
    const deadline = last + (options.timeoutMs ?? defaultTimeout);
    reader.divert((chunk) => {
      last = performance.now();
      chunks.push(chunk);
    });
    try {
      socket.write(bytes);
      for (;;) {
        const now = performance.now();
        const left = Math.min(last + quietMs, deadline) - now;
        if (left <= 0) break;
        await Bun.sleep(left);
      }
    } finally {
      reader.divert(undefined);
    }
    return Buffer.concat(chunks);
  };

  return { sync, call, send, raw, line, close: () => socket.destroy() };
}
