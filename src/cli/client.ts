/** The host's side of the QEMU guest agent protocol, on a socket of the hypervisor. */
import { isJsonObject, type Json, toJson, type Writable } from "../framing/json.ts";

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

export interface Client {
  /**
   * Throws away what is left of earlier conversations, and finds out that an agent is there.
   * @throws ConnectionError
   */
  sync(): Promise<void>;
  /** @returns what the command returned; integers beyond 2^53 are bigint. @throws AgentError, ConnectionError */
  call(command: string, values: Writable): Promise<Json>;
  /** Runs a command that gives no answer when all is well. @throws AgentError */
  callSilent(command: string, values: Writable): Promise<void>;
  close(): void;
}

/** A request is sent again after so long: a line without a listener loses it. */
const SYNC_INTERVAL_MS = 2000;
const DELIMITER = 0xff;
const LINE_FEED = 0x0a;
const SHOWN_OF_GARBAGE = 80;

const CONNECT_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such socket",
  ECONNREFUSED: "nobody listens there, or others wait there already",
  EACCES: "permission denied",
  ENAMETOOLONG: "the path is too long for a socket",
};

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

interface Lines {
  add(chunk: Uint8Array): void;
  end(error: ConnectionError): void;
  /** The next line without its end; undefined when none came in time. @throws ConnectionError */
  next(milliseconds: number): Promise<Buffer | undefined>;
}

function createLines(): Lines {
  const lines: Buffer[] = [];
  let partial: Uint8Array[] = [];
  let ended: ConnectionError | undefined;
  let wake = (): void => {};

  return {
    add(chunk) {
      let start = 0;
      for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
        lines.push(Buffer.concat([...partial, chunk.subarray(start, end)]));
        partial = [];
        start = end + 1;
      }
      if (start < chunk.byteLength) partial.push(Uint8Array.from(chunk.subarray(start)));
      if (lines.length > 0) wake();
    },
    end(error) {
      ended ??= error;
      wake();
    },
    async next(milliseconds) {
      if (lines.length === 0 && ended === undefined) {
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        const timer = Number.isFinite(milliseconds) ? setTimeout(resolve, Math.max(0, milliseconds)) : undefined;
        await promise;
        clearTimeout(timer);
      }
      const line = lines.shift();
      if (line === undefined && ended !== undefined) throw ended;
      return line;
    },
  };
}

interface Connection {
  readonly lines: Lines;
  send(bytes: Uint8Array): void;
  close(): void;
}

/** @throws ConnectionError */
async function openConnection(path: string): Promise<Connection> {
  const lines = createLines();
  let unsent: Uint8Array[] = [];
  try {
    const socket = await Bun.connect({
      unix: path,
      socket: {
        data: (_socket, chunk) => lines.add(chunk),
        drain: () => flush(),
        close: () => lines.end(new ConnectionError(`${path}: the connection was closed`)),
        error: (_socket, error) => lines.end(new ConnectionError(`${path}: ${error.message}`)),
      },
    });
    const flush = (): void => {
      for (let first = unsent[0]; first !== undefined; first = unsent[0]) {
        const taken = Math.max(0, socket.write(first));
        if (taken < first.byteLength) {
          unsent[0] = first.subarray(taken);
          return;
        }
        unsent.shift();
      }
    };
    return {
      lines,
      send(bytes) {
        unsent.push(bytes);
        if (unsent.length === 1) flush();
      },
      close() {
        unsent = [];
        socket.end();
      },
    };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    throw new ConnectionError(`${path}: ${CONNECT_ERRORS[code] ?? String(error)}`);
  }
}

/** The JSON of a line, what stands before a delimiter left off; undefined when it is no JSON object. */
function readReply(line: Buffer): { readonly [member: string]: Json } | undefined {
  try {
    const reply = parseJson(line.toString("utf8", line.lastIndexOf(DELIMITER) + 1));
    return isJsonObject(reply) ? reply : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** @throws AgentError when it is an error; ConnectionError when it is no reply */
function resultOf(line: Buffer, path: string): Json {
  const { return: result, error } = readReply(line) ?? {};
  if (error !== undefined && isJsonObject(error)) throw new AgentError(String(error.class), String(error.desc));
  if (result !== undefined) return result;
  const shown = JSON.stringify(line.toString("utf8").slice(0, SHOWN_OF_GARBAGE));
  throw new ConnectionError(`${path}: this is no answer of a guest agent: ${shown}`);
}

/**
 * Connects to an agent's socket; whether an agent is there shows only `sync`.
 * @param timeout milliseconds to wait for each answer; Infinity for no limit
 * @throws ConnectionError
 */
export async function connectClient(path: string, timeout: number): Promise<Client> {
  const { lines, send, close } = await openConnection(path);

  const request = (execute: string, values: Writable): Buffer =>
    Buffer.from(`${toJson({ execute, arguments: values })}\n`);

  const noAnswer = (): ConnectionError =>
    new ConnectionError(
      `${path}: no answer within ${timeout / 1000} s (is the agent running, and no other host connected?)`,
    );

  /** Sends a guest-sync-delimited after some bytes. @returns tells its answer from other lines */
  const sendSync = (...before: number[]): ((line: Buffer) => boolean) => {
    const id = Math.floor(Math.random() * 2 ** 31);
    send(Buffer.concat([Buffer.from(before), request("guest-sync-delimited", { id })]));
    return (line) => line.includes(DELIMITER) && readReply(line)?.return === id;
  };

  const sync = async (): Promise<void> => {
    const deadline = performance.now() + timeout;
    while (performance.now() < deadline) {
      // Ends what an earlier host may have left half sent; qemu-ga complains when there was nothing.
      const isAnswer = sendSync(DELIMITER);
      const repeatAt = Math.min(deadline, performance.now() + SYNC_INTERVAL_MS);
      for (;;) {
        const line = await lines.next(repeatAt - performance.now());
        if (line === undefined) break;
        if (isAnswer(line)) return;
      }
    }
    throw noAnswer();
  };

  return {
    sync,
    async call(command, values) {
      send(request(command, values));
      const line = await lines.next(timeout);
      if (line === undefined) throw noAnswer();
      return resultOf(line, path);
    },
    async callSilent(command, values) {
      send(request(command, values));
      // An answer to what comes after it says that it was taken, and so does a guest that goes down.
      const isAnswer = sendSync();
      const next = (): Promise<Buffer | undefined> => lines.next(timeout).catch(() => undefined);
      const line = await next();
      if (line === undefined || isAnswer(line)) return;
      // qemu-ga ends itself when a host goes without having read everything.
      await next();
      resultOf(line, path);
    },
    close,
  };
}
