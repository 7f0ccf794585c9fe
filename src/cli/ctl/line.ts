/** The ways that bytes take to an agent: sockets, vsock, serial lines. */
import { createWriteStream } from "node:fs";
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

/** A serial line, or the pseudo-terminal that stands for one. */
export const serialLine =
  (lines: HostLines, path: string): OpenLine =>
  async ({ data, moved, closed }) => {
    try {
      const { input, output } = lines.openSerial(path);
      const fail = (error: Error): void => closed(new ConnectionError(`${path}: ${error.message}`));
      const incoming = new ReadStream(input);
      const outgoing = createWriteStream("", { fd: output });
      incoming.on("data", data).on("error", fail);
      incoming.on("end", () => closed(new ConnectionError(`${path}: the line was closed`)));
      outgoing.on("error", fail);
      return {
        name: path,
        send: (bytes) => {
          outgoing.write(bytes, moved);
        },
        close() {
          incoming.destroy();
          outgoing.destroy();
        },
      };
    } catch (error) {
      throw cannotConnect(path, error);
    }
  };
