/** A host that speaks JSON lines, for tests. */
import { createConnection } from "node:net";
import { within } from "../lab/process.ts";
import { isObject, type Json, parseJson, printJson } from "../lab/qga-client.ts";

export type Line = { [member: string]: Json };

export interface LineClient {
  /** Every line so far. */
  readonly lines: readonly Line[];
  /** Sends text as it is, or an object as a line. */
  send(content: string | Uint8Array | Line): void;
  /** The first line from `from` on that fits; throws after `timeoutMs`. */
  next(fits: (line: Line) => boolean, from?: number, timeoutMs?: number): Promise<Line>;
  /** Sends an object and gives the line that comes next. */
  ask(request: Line | string): Promise<Line>;
  close(): void;
}

/** Connects to a unix socket. */
export async function connectLines(path: string): Promise<LineClient> {
  const socket = createConnection(path);
  const { promise: connected, resolve, reject } = Promise.withResolvers<void>();
  socket.once("connect", resolve);
  socket.once("error", reject);
  await connected;
  socket.on("error", () => {});
  const lines: Line[] = [];
  let waiting = new Set<() => void>();
  const arrived = (): void => {
    const now = waiting;
    waiting = new Set();
    for (const look of now) look();
  };
  let rest = "";
  socket.setEncoding("utf8");
  socket.on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) {
      const line = parseJson(part);
      if (!isObject(line)) throw new Error(`not an object: ${part}`);
      lines.push(line);
      arrived();
    }
  });
  const next: LineClient["next"] = async (fits, from = 0, timeoutMs = 5_000) => {
    const { promise, resolve: found } = Promise.withResolvers<Line>();
    let seen = from;
    const look = (): void => {
      for (; seen < lines.length; seen++) {
        const line = lines[seen];
        if (line !== undefined && fits(line)) return found(line);
      }
      waiting.add(look);
    };
    look();
    const shown = (): string => lines.slice(from).map(printJson).join("\n");
    try {
      return await within(promise, timeoutMs, () => `nothing fits among:\n${shown()}`);
    } finally {
      waiting.delete(look);
    }
  };
  const send: LineClient["send"] = (content) => {
    const isText = typeof content === "string" || content instanceof Uint8Array;
    socket.write(isText ? content : `${JSON.stringify(content)}\n`);
  };
  return {
    lines,
    send,
    next,
    ask(request) {
      const from = lines.length;
      send(request);
      return next(() => true, from);
    },
    close: () => socket.destroy(),
  };
}
