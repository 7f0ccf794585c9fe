/** What is on its way to one host: texts and bodies, in order, at the host's pace. */
import type { Port } from "../guest.ts";
import { turnGoesOn } from "../memory.ts";
import { type Body, isBody } from "./body.ts";

export interface Outbox {
  /** Adds text of Latin-1 characters. */
  text(text: string): void;
  /** Adds a reply that makes itself, and text of Latin-1 characters behind it. */
  body(body: Body, behind: string): void;
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

const NOTHING = Buffer.alloc(0);

/** One for all channels: it is empty between two calls. */
const buffer = Buffer.allocUnsafeSlow(SLICE);

export function createOutbox(port: Port): Outbox {
  let gathered = "";
  /** What a blocked write left over: the first thing to go on with. Allocated once, since a slow host blocks often. */
  let rest = NOTHING;
  let restAt = 0;
  let restEnd = 0;
  /** What comes behind that. */
  let backlog: (string | Body)[] = [];

  /** @returns whether all was taken; otherwise there is a rest */
  const write = (from: Buffer, start: number, end: number): boolean => {
    const taken = start === end ? 0 : port.write(from, start, end);
    if (start + taken === end) return true;
    if (rest.byteLength === 0) rest = Buffer.allocUnsafeSlow(SLICE);
    restAt = 0;
    restEnd = from.copy(rest, 0, start + taken, end);
    return false;
  };

  /** @returns whether there is no rest any more */
  const writeRest = (): boolean => {
    if (restAt < restEnd) restAt += port.write(rest, restAt, restEnd);
    return restAt === restEnd;
  };

  const writeText = (text: string): boolean => {
    for (let at = 0; at < text.length; at += SLICE) {
      const part = text.length <= SLICE ? text : text.slice(at, at + SLICE);
      const length = buffer.write(part, 0, "latin1");
      if (!write(buffer, 0, length)) {
        const later = text.slice(at + SLICE);
        if (later !== "") backlog.unshift(later);
        return false;
      }
    }
    return true;
  };

  /** Sends a body between two texts; what is short goes out at once, so that the host wakes up once. */
  const writeBody = (lead: string, body: Body, behind: string): boolean => {
    let at = buffer.write(lead, 0, "latin1");
    for (;;) {
      at += body.next(buffer, at, SLICE - behind.length);
      if (body.over) break;
      if (!write(buffer, 0, at)) {
        backlog.unshift(body, behind);
        return false;
      }
      turnGoesOn();
      at = 0;
    }
    return write(buffer, 0, at + buffer.write(behind, at, "latin1"));
  };

  const isBlocked = (): boolean => restAt < restEnd || backlog.length > 0;

  const gather = (): void => {
    if (gathered === "") return;
    const text = gathered;
    gathered = "";
    if (isBlocked()) backlog.push(text);
    else writeText(text);
  };

  const drain = (): void => {
    if (!writeRest()) return;
    for (let next = backlog.shift(); next !== undefined; next = backlog.shift()) {
      const sent = isBody(next) ? writeBody("", next, "") : writeText(next);
      if (!sent) return;
    }
  };

  return {
    get blocked() {
      return isBlocked();
    },
    text(text) {
      gathered = gathered === "" ? text : gathered + text;
      if (gathered.length >= GATHERED) gather();
    },
    body(body, behind) {
      const lead = gathered;
      gathered = "";
      if (isBlocked() || behind.length > GATHERED) backlog.push(lead, body, behind);
      else writeBody(lead, body, behind);
    },
    flush() {
      drain();
      gather();
    },
    clear() {
      backlog = [];
      restEnd = restAt;
      gathered = "";
    },
  };
}
