/**
 * A host that asks as fast as it can: blocking calls of the C library into reused buffers, nothing parsed that need not
 * be. `ceiling.ts` measures it against a server that does no work.
 */
import { type Pointer, ptr } from "bun:ffi";
import { libc, unixAddress, unixSocket } from "./libc.ts";

const MSG_DONTWAIT = 0x40;
const POLLIN = 1;
const POLLOUT = 4;
const LINE_FEED = 0x0a;
const RESET = 0xff;
/** Bytes sent or received at once at most. */
const AT_ONCE = 1024 * 1024;
/** A server that has not answered for so long never will. */
const PATIENCE_MS = 60_000;
/** How a reply that is an error begins, with either spacing. */
const ERROR = Buffer.from('{"error"');

export interface Client {
  /**
   * Sends a request, waits for the line feed that ends a reply.
   * @param meanwhile called after each part that was sent or received
   * @returns bytes received
   * @throws Error when the reply is an error
   */
  ask(request: Buffer, meanwhile?: () => void): number;
  /** As `ask`, until a line that begins with 0xFF is complete: what is before it may be anything. */
  askDelimited(request: Buffer): number;
  /** Sends `requests` while it receives `expected` bytes. */
  pipeline(requests: Buffer, expected: number): void;
  /** Asks. @returns milliseconds until the first bytes of the reply were there */
  firstByte(request: Buffer): number;
  /** The reply to a request, parsed. @throws Error when it is an error */
  call<T>(name: string, given?: Readonly<Record<string, unknown>>): T;
  close(): void;
}

export const requestBytes = (name: string, given?: Readonly<Record<string, unknown>>): Buffer =>
  Buffer.from(`${JSON.stringify(given === undefined ? { execute: name } : { execute: name, arguments: given })}\n`);

/** @throws Error when nobody listens there */
export function connect(path: string): Client {
  const fd = unixSocket();
  const address = unixAddress(path);
  if (libc.connect(fd, address, address.byteLength) !== 0) {
    libc.close(fd);
    throw new Error(`nobody listens on ${path}`);
  }
  const incoming = Buffer.from(new ArrayBuffer(AT_ONCE));
  const incomingPointer: Pointer = ptr(incoming);
  const pollfd = Buffer.alloc(8);

  const wait = (events: number): void => {
    pollfd.writeInt32LE(fd, 0);
    pollfd.writeInt16LE(events, 4);
    if (libc.poll(pollfd, 1n, PATIENCE_MS) !== 1) throw new Error("the agent does not answer");
  };
  const receive = (): number => {
    const count = Number(libc.read(fd, incomingPointer, AT_ONCE));
    if (count <= 0) throw new Error("the agent has hung up");
    return count;
  };
  const sendAll = (bytes: Buffer, meanwhile?: () => void): void => {
    for (let at = 0; at < bytes.byteLength; ) {
      const count = Number(libc.send(fd, ptr(bytes, at), Math.min(AT_ONCE, bytes.byteLength - at), 0));
      if (count <= 0) throw new Error("the agent has hung up");
      at += count;
      meanwhile?.();
    }
  };
  const receiveLine = (meanwhile?: () => void): number => {
    for (let total = 0; ; ) {
      const count = receive();
      if (total === 0 && incoming[2] === ERROR[2] && incoming.subarray(0, ERROR.byteLength).equals(ERROR)) {
        throw new Error(incoming.toString("latin1", 0, Math.min(count, 200)).trim());
      }
      total += count;
      meanwhile?.();
      if (incoming[count - 1] === LINE_FEED) return total;
    }
  };

  return {
    ask(request, meanwhile) {
      sendAll(request, meanwhile);
      return receiveLine(meanwhile);
    },
    askDelimited(request) {
      sendAll(request);
      let delimited = false;
      for (let total = 0; ; ) {
        const count = receive();
        total += count;
        delimited ||= incoming.subarray(0, count).includes(RESET);
        if (delimited && incoming[count - 1] === LINE_FEED) return total;
      }
    },
    pipeline(requests, expected) {
      let sent = 0;
      let received = 0;
      while (received < expected) {
        if (sent < requests.byteLength) {
          const count = Number(libc.send(fd, ptr(requests, sent), requests.byteLength - sent, MSG_DONTWAIT));
          if (count > 0) sent += count;
        }
        wait(sent < requests.byteLength ? POLLIN | POLLOUT : POLLIN);
        if ((pollfd.readInt16LE(6) & POLLIN) !== 0) received += receive();
      }
    },
    firstByte(request) {
      const begin = performance.now();
      sendAll(request);
      const count = receive();
      const elapsed = performance.now() - begin;
      if (incoming[count - 1] !== LINE_FEED) receiveLine();
      return elapsed;
    },
    call(name, given) {
      sendAll(requestBytes(name, given));
      let text = "";
      while (!text.endsWith("\n")) text += incoming.toString("latin1", 0, receive());
      const reply = JSON.parse(text);
      if ("error" in reply) throw new Error(`${name}: ${reply.error.desc}`);
      return reply.return;
    },
    close: () => {
      libc.close(fd);
    },
  };
}
