/** Files of the guest as a host reads and writes them: in large pieces, with the next request under way already. */
import type { Json } from "../../framing/json.ts";
import { AgentError, type Client, ConnectionError } from "../client.ts";
import { bytesOf, expectInteger, expectNumber, isTrue } from "./reply.ts";

/** The user or the system wants this process to end. */
export class Interrupted extends Error {
  override name = "Interrupted";

  constructor(readonly signal: number) {
    super("interrupted");
  }
}

/** @throws Interrupted */
export function checkInterrupted({ aborted, reason }: AbortSignal): void {
  if (aborted) throw new Interrupted(Number(reason));
}

/** A handle, as the agent has given it. */
export type Handle = number | bigint;

const FIRST_PIECE = 64 * 1024;
const SMALLEST_PIECE = 4096;
/** A piece that took less is followed by a larger one, a piece that took more by a smaller one. */
const QUICK_MS = 250;
const SLOW_MS = 2000;

/** Sizes of pieces that suit the line: a serial line moves 10 KiB in a second, a socket some 100 MiB. */
function createPace(most: number): { readonly size: number; answered(): void } {
  let size = Math.min(FIRST_PIECE, most);
  let last = performance.now();
  return {
    get size() {
      return size;
    },
    answered() {
      const now = performance.now();
      const took = now - last;
      last = now;
      if (took < QUICK_MS) size = Math.min(size * 2, most);
      else if (took > SLOW_MS) size = Math.max(size / 2, Math.min(SMALLEST_PIECE, most));
    },
  };
}

/** @throws AgentError, ConnectionError */
export const openFile = async (client: Client, path: string, mode: "r" | "w" | "r+"): Promise<Handle> =>
  expectInteger(await client.call("guest-file-open", { path, mode }));

/** Does something with an open file, and closes it whatever happens. */
export async function withFile<T>(
  client: Client,
  path: string,
  mode: "r" | "w" | "r+",
  action: (handle: Handle) => Promise<T>,
): Promise<T> {
  const handle = await openFile(client, path, mode);
  let result: T;
  try {
    result = await action(handle);
  } catch (error) {
    await client.call("guest-file-close", { handle }).catch(() => undefined);
    throw error;
  }
  await client.call("guest-file-close", { handle });
  return result;
}

export const seekFile = async (
  client: Client,
  handle: Handle,
  offset: number,
  whence: "set" | "end",
): Promise<number> => expectNumber(await client.call("guest-file-seek", { handle, offset, whence }), "position");

/** How long it is; undefined of what has no length. The position afterwards is the beginning. */
export async function sizeOfFile(client: Client, handle: Handle): Promise<number | undefined> {
  try {
    const size = await seekFile(client, handle, 0, "end");
    await seekFile(client, handle, 0, "set");
    return size;
  } catch (error) {
    if (error instanceof AgentError) return undefined;
    throw error;
  }
}

/** Requests that are under way, and what is done with their answers, one after the other. */
interface Stream {
  /** Sends the next request; undefined when there is none. */
  next(): Promise<Json> | undefined;
  /** Takes the answer to the oldest one. */
  take(answer: Json): void;
}

/** Keeps as many requests under way as the line allows. When one fails, the others are waited for. */
async function pump({ limits }: Client, { next, take }: Stream): Promise<void> {
  const underWay: Promise<Json>[] = [];
  const fill = (): void => {
    while (underWay.length < (limits.pipelined ? 2 : 1)) {
      const request = next();
      if (request === undefined) return;
      // Whether it failed is asked when it is its turn.
      request.catch(() => undefined);
      underWay.push(request);
    }
  };
  try {
    fill();
    for (let first = underWay.shift(); first !== undefined; first = underWay.shift()) {
      const answer = await first;
      fill();
      take(answer);
      fill();
    }
  } finally {
    await Promise.allSettled(underWay);
  }
}

/**
 * Reads from the position to the end.
 * @throws AgentError, ConnectionError, Interrupted, and what `sink` throws
 */
export async function readToEnd(
  client: Client,
  handle: Handle,
  sink: (bytes: Buffer) => void,
  interrupted: AbortSignal,
): Promise<void> {
  const pace = createPace(client.limits.read);
  let over = false;
  await pump(client, {
    next: () =>
      over || interrupted.aborted ? undefined : client.call("guest-file-read", { handle, count: pace.size }),
    take(answer) {
      pace.answered();
      const bytes = bytesOf(answer, "buf-b64");
      if (bytes.byteLength !== expectNumber(answer, "count")) throw new ConnectionError("a read with a wrong count");
      if (isTrue(answer, "eof") || bytes.byteLength === 0) over = true;
      if (bytes.byteLength > 0) sink(bytes);
    },
  });
  checkInterrupted(interrupted);
}

/**
 * Writes all that `source` gives.
 * @param source at most so many bytes, none at the end; it may use the same memory again
 * @param written told of each piece that the guest has
 * @throws AgentError, ConnectionError, Interrupted, and what `source` throws
 */
export async function writeAll(
  client: Client,
  handle: Handle,
  source: (most: number) => Buffer,
  written: (bytes: number) => void,
  interrupted: AbortSignal,
): Promise<void> {
  const pace = createPace(client.limits.write);
  const sizes: number[] = [];
  await pump(client, {
    next() {
      const bytes = interrupted.aborted ? undefined : source(pace.size);
      if (bytes === undefined || bytes.byteLength === 0) return undefined;
      sizes.push(bytes.byteLength);
      return client.call("guest-file-write", { handle, "buf-b64": bytes.toString("base64") });
    },
    take(answer) {
      pace.answered();
      const size = sizes.shift();
      if (expectNumber(answer, "count") !== size) throw new ConnectionError("the guest has written less than it got");
      written(size);
    },
  });
  checkInterrupted(interrupted);
}
