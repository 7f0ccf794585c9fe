/** The host's side of the QEMU guest agent protocol. */
import { isJsonObject, type Json, toJson, type Writable } from "../framing/json.ts";
import type { OpenLine } from "./ctl/line.ts";

/** The agent answered with an error. */
export class AgentError extends Error {
  override name = "AgentError";

  constructor(
    readonly errorClass: string,
    readonly description: string,
  ) {
    super(`${errorClass}: ${description}`);
  }
}

/** No agent could be reached, or what answers is none. */
export class ConnectionError extends Error {
  override name = "ConnectionError";
}

/** How much fits into one message of the way that a client takes, in bytes of a file. */
export interface ClientLimits {
  /** The most that one guest-file-read may give. */
  readonly read: number;
  /** The most that one guest-file-write, or the input of a program, may take. */
  readonly write: number;
  /** Whether a request may be sent while another one is being answered. */
  readonly pipelined: boolean;
}

export interface Client {
  readonly limits: ClientLimits;
  /**
   * Throws away what is left of earlier conversations, and finds out that an agent is there.
   * @throws ConnectionError
   */
  sync(): Promise<void>;
  /**
   * Answers come in the order of the calls.
   * @param patience milliseconds of silence after which no answer is expected, when not the usual ones
   * @returns what the command returned; integers beyond 2^53 are bigint
   * @throws AgentError, ConnectionError
   */
  call(command: string, values: Writable, patience?: number): Promise<Json>;
  /** Runs a command that gives no answer when all is well. @throws AgentError */
  callSilent(command: string, values: Writable): Promise<void>;
  /** Sends a request as it is. @returns the whole reply. @throws ConnectionError */
  raw(request: string): Promise<Json>;
  /** Waits for what was not answered yet: qemu-ga ends itself when a host goes without having read everything. */
  close(): Promise<void>;
}

/** A request is sent again after so long: a line without a listener loses it. */
const SYNC_INTERVAL_MS = 2000;
const DELIMITER = 0xff;
const LINE_FEED = 0x0a;
const SHOWN_OF_GARBAGE = 80;
/** Measured on a unix socket: larger pieces are no faster, and cost the guest memory. */
const STREAM_LIMITS: ClientLimits = { read: 512 * 1024, write: 512 * 1024, pipelined: true };

/** Parses JSON. @returns integers that a number cannot hold as bigint. @throws SyntaxError */
export function parseJson(text: string): Json {
  // The reviver makes parsing slow, and hardly any reply needs it.
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_name: string, value: Json, context?: { readonly source?: string }) => {
    const source = context?.source ?? "";
    const isLong = typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(source);
    return isLong ? BigInt(source) : value;
  });
}

/** Cuts bytes into lines without their ends. */
export function createLineSplitter(line: (bytes: Buffer) => void): (chunk: Uint8Array) => void {
  let partial: Uint8Array[] = [];
  return (chunk) => {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      line(Buffer.concat([...partial, chunk.subarray(start, end)]));
      partial = [];
      start = end + 1;
    }
    if (start < chunk.byteLength) partial.push(chunk.slice(start));
  };
}

/** The JSON of a line, what stands before a delimiter left off; undefined when it is no JSON object. */
export function readReply(line: Buffer): { readonly [member: string]: Json } | undefined {
  try {
    const reply = parseJson(line.toString("utf8", line.lastIndexOf(DELIMITER) + 1));
    return isJsonObject(reply) ? reply : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** @throws AgentError when it is an error; ConnectionError when it is no reply */
export function resultOf(line: Buffer, name: string): Json {
  const { return: result, error } = readReply(line) ?? {};
  if (error !== undefined && isJsonObject(error)) throw new AgentError(String(error.class), String(error.desc));
  if (result !== undefined) return result;
  const shown = JSON.stringify(line.toString("utf8").slice(0, SHOWN_OF_GARBAGE));
  throw new ConnectionError(`${name}: this is no answer of a guest agent: ${shown}`);
}

/** A request that waits for its answer. */
interface Waiting {
  readonly patience: number;
  answer(line: Buffer): void;
  fail(error: ConnectionError): void;
}

/** Hands lines to those who wait for them, in their order; silence fails all of them. */
function createQueue(name: () => string) {
  let waiting: Waiting[] = [];
  /** Lines for which nobody has waited yet. */
  let early: Buffer[] = [];
  let idle = (): void => {};
  let timer: ReturnType<typeof setTimeout> | undefined;
  let lastSign = performance.now();
  let ended: ConnectionError | undefined;

  const noAnswer = (patience: number): ConnectionError =>
    new ConnectionError(
      `${name()}: no answer within ${patience / 1000} s (is the agent running, and no other host connected?)`,
    );
  const failAll = (error: ConnectionError): void => {
    const failed = waiting;
    waiting = [];
    for (const { fail } of failed) fail(error);
    idle();
  };
  const watch = (): void => {
    clearTimeout(timer);
    const [first] = waiting;
    if (first === undefined || !Number.isFinite(first.patience)) return;
    const left = lastSign + first.patience - performance.now();
    if (left > 0) timer = setTimeout(watch, Math.ceil(left));
    else failAll(noAnswer(first.patience));
  };

  return {
    noAnswer,
    /** Resolves when nobody waits any more. */
    async settled(): Promise<void> {
      if (waiting.length === 0) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      idle = resolve;
      await promise;
    },
    forget() {
      early = [];
    },
    /** Bytes went one way or the other. */
    sign() {
      lastSign = performance.now();
    },
    next(patience: number): Promise<Buffer> {
      const line = early.shift();
      if (line !== undefined) return Promise.resolve(line);
      if (ended !== undefined) return Promise.reject(ended);
      const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
      waiting.push({ patience, answer: resolve, fail: reject });
      if (waiting.length === 1) {
        lastSign = performance.now();
        watch();
      }
      return promise;
    },
    add(line: Buffer) {
      const first = waiting.shift();
      if (first === undefined) early.push(line);
      else first.answer(line);
      watch();
      if (waiting.length === 0) idle();
    },
    end(error: ConnectionError) {
      ended ??= error;
      clearTimeout(timer);
      failAll(ended);
    },
  };
}

/**
 * Connects to an agent; whether one is there shows only `sync`.
 * @param timeout milliseconds of silence after which no answer is expected; Infinity for no limit
 * @throws ConnectionError
 */
export async function connectClient(open: OpenLine, timeout: number): Promise<Client> {
  const queue = createQueue(() => line.name);
  const answers = createLineSplitter((bytes) => queue.add(bytes));
  const line = await open({
    data(chunk) {
      queue.sign();
      answers(chunk);
    },
    moved: queue.sign,
    closed: queue.end,
  });

  const request = (execute: string, values: Writable): Buffer =>
    Buffer.from(`${toJson({ execute, arguments: values })}\n`);

  const ask = (bytes: Uint8Array, patience = timeout): Promise<Buffer> => {
    const answer = queue.next(patience);
    line.send(bytes);
    return answer;
  };

  /** A guest-sync-delimited after some bytes, and what tells its answer from other lines. */
  const makeSync = (...before: number[]): { bytes: Buffer; isAnswer(answer: Buffer): boolean } => {
    const id = Math.floor(Math.random() * 2 ** 31);
    return {
      bytes: Buffer.concat([Buffer.from(before), request("guest-sync-delimited", { id })]),
      isAnswer: (answer) => answer.includes(DELIMITER) && readReply(answer)?.return === id,
    };
  };

  const sync = async (): Promise<void> => {
    const deadline = performance.now() + timeout;
    while (performance.now() < deadline) {
      // Ends what an earlier host may have left half sent; qemu-ga complains when there was nothing.
      const { bytes, isAnswer } = makeSync(DELIMITER);
      const repeatAt = Math.min(deadline, performance.now() + SYNC_INTERVAL_MS);
      line.send(bytes);
      for (let left = repeatAt - performance.now(); left > 0; left = repeatAt - performance.now()) {
        const answer = await queue.next(left).catch((error: unknown) => {
          if (performance.now() < repeatAt) throw error;
        });
        if (answer === undefined || !isAnswer(answer)) continue;
        queue.forget();
        return;
      }
    }
    throw queue.noAnswer(timeout);
  };

  return {
    limits: STREAM_LIMITS,
    sync,
    async call(command, values, patience) {
      return resultOf(await ask(request(command, values), patience), line.name);
    },
    async callSilent(command, values) {
      // An answer to what comes after it says that it was taken, and so does a guest that goes down.
      const { bytes, isAnswer } = makeSync();
      const answer = await ask(Buffer.concat([request(command, values), bytes])).catch(() => undefined);
      if (answer === undefined || isAnswer(answer)) return;
      // qemu-ga ends itself when a host goes without having read everything.
      await queue.next(timeout).catch(() => undefined);
      resultOf(answer, line.name);
    },
    async raw(text) {
      const answer = await ask(Buffer.from(`${text}\n`));
      const reply = readReply(answer);
      if (reply === undefined) resultOf(answer, line.name);
      return reply ?? null;
    },
    async close() {
      await queue.settled();
      line.close();
    },
  };
}
