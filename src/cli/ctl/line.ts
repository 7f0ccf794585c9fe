/** The ways that bytes take to an agent: sockets, vsock, serial lines. */
import { closeSync, writeSync } from "node:fs";
import { ReadStream } from "node:tty";
import { type HostLines, SystemError } from "../../guest.ts";
import { ConnectionError } from "../client.ts";

export interface LineEvents {
  /** The bytes are only valid during the call. */
  data(chunk: Uint8Array): void;
  /** Some of what was sent is on its way. */
  moved(): void;
  closed(error: ConnectionError): void;
}

export interface Line {
  /** What messages call it. */
  readonly name: string;
  send(bytes: Uint8Array): void;
  close(): void;
}

/** Opens a line. @throws ConnectionError */
export type OpenLine = (events: LineEvents) => Promise<Line>;

const CONNECT_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such socket",
  ECONNREFUSED: "nobody listens there, or others wait there already",
  EACCES: "permission denied",
  ENAMETOOLONG: "the path is too long for a socket",
};

function cannotConnect(name: string, error: unknown): ConnectionError {
  if (error instanceof SystemError) return new ConnectionError(error.message);
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return new ConnectionError(`${name}: ${CONNECT_ERRORS[code] ?? String(error)}`);
}

/** What Bun connects to; a descriptor is what `node:net` hands to it, and is missing from its types. */
type SocketAddress = { readonly unix: string } | { readonly fd: number; readonly unix: string };

const socketLine =
  (name: string, address: () => SocketAddress): OpenLine =>
  async ({ data, moved, closed }) => {
    let unsent: Uint8Array[] = [];
    try {
      const socket = await Bun.connect({
        ...address(),
        socket: {
          data: (_socket, chunk) => data(chunk),
          drain: () => flush(),
          close: () => closed(new ConnectionError(`${name}: the connection was closed`)),
          error: (_socket, error) => closed(new ConnectionError(`${name}: ${error.message}`)),
        },
      });
      const flush = (): void => {
        for (let first = unsent[0]; first !== undefined; first = unsent[0]) {
          const taken = Math.max(0, socket.write(first));
          if (taken > 0) moved();
          if (taken < first.byteLength) {
            unsent[0] = first.subarray(taken);
            return;
          }
          unsent.shift();
        }
      };
      return {
        name,
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
      throw cannotConnect(name, error);
    }
  };

/** The socket at which a hypervisor or an agent listens. */
export const unixLine = (path: string): OpenLine => socketLine(path, () => ({ unix: path }));

/** An agent that listens for vsock connections. */
export const vsockLine = (lines: HostLines, cid: number, port: number): OpenLine =>
  socketLine(`vsock ${cid}:${port}`, () => ({ fd: lines.connectVsock(cid, port), unix: "" }));

/** A serial line has no event that says that there is room again. */
const SERIAL_RETRY_MS = 5;

const isFull = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "EAGAIN";

/** Writes to a descriptor that takes as much as there is room for. */
function createWriter(descriptor: number, { moved }: LineEvents, fail: (error: Error) => void) {
  let unsent: Uint8Array[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = (): void => {
    timer = undefined;
    try {
      for (let first = unsent[0]; first !== undefined; first = unsent[0]) {
        const taken = writeSync(descriptor, first);
        moved();
        if (taken < first.byteLength) unsent[0] = first.subarray(taken);
        else unsent.shift();
      }
    } catch (error) {
      if (isFull(error)) timer = setTimeout(flush, SERIAL_RETRY_MS);
      else fail(error instanceof Error ? error : new Error(String(error)));
    }
  };
  return {
    send(bytes: Uint8Array) {
      unsent.push(bytes);
      if (timer === undefined) flush();
    },
    close() {
      unsent = [];
      clearTimeout(timer);
      closeSync(descriptor);
    },
  };
}

/** A serial line, or the pseudo-terminal that stands for one. */
export const serialLine =
  (lines: HostLines, path: string): OpenLine =>
  async (events) => {
    const { data, closed } = events;
    try {
      const { input, output } = lines.openSerial(path);
      const fail = (error: Error): void => closed(new ConnectionError(`${path}: ${error.message}`));
      const incoming = new ReadStream(input);
      incoming.on("data", data).on("error", fail);
      incoming.on("end", () => closed(new ConnectionError(`${path}: the line was closed`)));
      const { send, close } = createWriter(output, events, fail);
      return {
        name: path,
        send,
        close() {
          incoming.destroy();
          close();
        },
      };
    } catch (error) {
      throw cannotConnect(path, error);
    }
  };
