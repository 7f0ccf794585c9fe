/** What is on its way to one host: texts and bodies, in order, at the host's pace. */
import type { Port } from "../guest.ts";
import { type Body, isBody } from "./body.ts";

export interface Outbox {
  /** Adds text of Latin-1 characters. */
  text(text: string): void;
  /** Adds a reply that makes itself. */
  body(body: Body): void;
  /** Sends what the host takes. @throws SystemError */
  flush(): void;
  /** Whether something waits for the host to read. */
  readonly blocked: boolean;
  /** Throws away what was not sent. */
  clear(): void;
}

/** Bytes handed to the port at once. */
const SLICE = 256 * 1024;
/** Text is gathered so far before it is turned into bytes. */
const GATHERED = 32 * 1024;

/** One for all channels: it is empty between two calls. */
const buffer = Buffer.allocUnsafeSlow(SLICE);

export function createOutbox(port: Port): Outbox {
  let gathered = "";
  /** What comes after a blocked write. */
  let backlog: (Buffer | string | Body)[] = [];

  /** @returns whether all was taken; the rest goes to the front of the backlog */
  const write = (from: Buffer, start: number, end: number): boolean => {
    const taken = start === end ? 0 : port.write(from, start, end);
    if (start + taken === end) return true;
    backlog.unshift(Buffer.from(from.subarray(start + taken, end)));
    return false;
  };

  const writeText = (text: string): boolean => {
    for (let at = 0; at < text.length; at += SLICE) {
      const part = text.length <= SLICE ? text : text.slice(at, at + SLICE);
      const length = buffer.write(part, 0, "latin1");
      if (!write(buffer, 0, length)) {
        const rest = text.slice(at + SLICE);
        if (rest !== "") backlog.splice(1, 0, rest);
        return false;
      }
    }
    return true;
  };

  /** Sends a body, led by text that is waiting. */
  const writeBody = (body: Body, lead: string): boolean => {
    let at = buffer.write(lead, 0, "latin1");
    for (;;) {
      const count = body.next(buffer, at, SLICE);
      const done = count === 0;
      if (done) return write(buffer, 0, at);
      if (!write(buffer, 0, at + count)) {
        backlog.splice(1, 0, body);
        return false;
      }
      at = 0;
    }
  };

  const gather = (): void => {
    if (gathered === "") return;
    const text = gathered;
    gathered = "";
    if (backlog.length > 0) backlog.push(text);
    else writeText(text);
  };

  const drain = (): void => {
    while (backlog.length > 0) {
      const next = backlog.shift()!;
      const sent = isBody(next)
        ? writeBody(next, "")
        : typeof next === "string"
          ? writeText(next)
          : write(next, 0, next.byteLength);
      if (!sent) return;
    }
  };

  return {
    get blocked() {
      return backlog.length > 0;
    },
    text(text) {
      gathered = gathered === "" ? text : gathered + text;
      if (gathered.length >= GATHERED) gather();
    },
    body(body) {
      const lead = gathered;
      gathered = "";
      if (backlog.length > 0) backlog.push(lead, body);
      else writeBody(body, lead);
    },
    flush() {
      drain();
      gather();
    },
    clear() {
      for (const waiting of backlog) if (isBody(waiting)) waiting.abandon?.();
      backlog = [];
      gathered = "";
    },
  };
}
