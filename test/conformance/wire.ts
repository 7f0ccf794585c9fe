/** Bytes to an agent and back, exactly as they are: what a conformance test sends is often no message at all. */
import { openSocket } from "../lab/qga-client.ts";

/** What came back for some bytes. */
export interface Exchange {
  /** All of it, each byte a Latin-1 character. */
  readonly reply: string;
  /** Whether a line came before anything else was sent. */
  readonly prompt: boolean;
}

export interface ExchangeOptions {
  /** Milliseconds to wait for the first line; 5000 unless told. */
  readonly patience?: number;
  /** Milliseconds to wait for the rest; 30 000 unless told. */
  readonly timeoutMs?: number;
}

export interface Wire {
  /** Sends bytes; the socket's buffer takes what the agent does not read. */
  send(bytes: Uint8Array | string): void;
  /**
   * Sends chunks, each in a write of its own, and collects everything up to the reply to a guest-sync-delimited that
   * follows: no reply is missed, however late, and none is waited for that does not come.
   */
  exchange(chunks: readonly (Uint8Array | string)[], options?: ExchangeOptions): Promise<Exchange>;
  /** What has come so far and was not taken. */
  received(): Buffer;
  /** Stops and starts reading. */
  pause(): void;
  resume(): void;
  /** Settles when the agent has closed the connection. */
  readonly closed: Promise<void>;
  close(): void;
}

/** The reply to the 0xFF that leads a sync when nothing was half read before it. */
const STRAY = '{"error": {"class": "GenericError", "desc": "JSON parse error, stray \'\\uFFFD\'"}}\n';
const TAIL = 128;

let lastSync = 900_000_000;

const asBytes = (data: Uint8Array | string): Uint8Array =>
  typeof data === "string" ? Buffer.from(data, "latin1") : data;

/** Connects to the agent's socket. */
export async function openWire(path: string): Promise<Wire> {
  const socket = await openSocket(path);
  socket.setNoDelay(true);
  let chunks: Buffer[] = [];
  let tail = "";
  let wake: (() => void) | undefined;
  let open = true;
  const closed = Promise.withResolvers<void>();
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    tail = (tail + chunk.toString("latin1", Math.max(0, chunk.byteLength - TAIL))).slice(-TAIL);
    wake?.();
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    open = false;
    wake?.();
    closed.resolve();
  });

  /** Waits until `done`. @returns whether it came true in time */
  const until = async (done: () => boolean, timeoutMs: number): Promise<boolean> => {
    const deadline = performance.now() + timeoutMs;
    while (!done()) {
      const left = deadline - performance.now();
      if (left <= 0 || !open) return false;
      const arrival = Promise.withResolvers<void>();
      wake = arrival.resolve;
      const timer = setTimeout(arrival.resolve, left);
      await arrival.promise;
      clearTimeout(timer);
    }
    return true;
  };

  const take = (): string => {
    const all = Buffer.concat(chunks).toString("latin1");
    chunks = [];
    tail = "";
    return all;
  };

  const write = (bytes: Uint8Array): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.write(bytes, () => resolve());
    return promise;
  };

  return {
    send: (bytes) => {
      socket.write(asBytes(bytes));
    },
    async exchange(requests, { patience = 5_000, timeoutMs = 30_000 } = {}) {
      take();
      for (const [index, request] of requests.entries()) {
        const written = write(asBytes(request));
        // A write that follows at once would be joined to this one.
        if (requests.length > 1 && index < requests.length - 1) await written;
      }
      const prompt = await until(() => chunks.some((chunk) => chunk.includes(10)), patience);
      const id = ++lastSync;
      const end = `\xff{"return": ${id}}\n`;
      socket.write(asBytes(`\xff{"execute": "guest-sync-delimited", "arguments": {"id": ${id}}}\n`));
      if (!(await until(() => tail.endsWith(end), timeoutMs))) {
        const all = take();
        const asked = Buffer.concat(requests.map(asBytes)).toString("latin1");
        const what = open ? "no answer to a sync" : "the connection ended";
        throw new Error(
          `${what} after ${JSON.stringify(asked.slice(0, 500))}, only ${JSON.stringify(all.slice(-500))}`,
        );
      }
      const reply = take().slice(0, -end.length);
      return { reply: reply.endsWith(STRAY) ? reply.slice(0, -STRAY.length) : reply, prompt };
    },
    received: () => Buffer.concat(chunks),
    pause: () => {
      socket.pause();
    },
    resume: () => {
      socket.resume();
    },
    closed: closed.promise,
    close: () => {
      socket.destroy();
    },
  };
}
