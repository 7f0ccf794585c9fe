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
  ECONNREFUSED: "nobody listens there",
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
      wake();
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
        while (lines.length === 0 && ended === undefined) {
          await promise;
          break;
        }
        clearTimeout(timer);
      }
      const line = lines.shift();
      if (line === undefined && ended !== undefined) throw ended;
      return line;
    },
  };
}
