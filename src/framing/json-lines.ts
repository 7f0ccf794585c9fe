/**
 * Bytes to JSON objects as the oVirt and EayunStack protocols have them: one object a line, in UTF-8.
 *
 * A newline always ends a message, as JSON has none within strings: whatever was wrong, the next line is read afresh.
 */
import { spent } from "../memory.ts";
import { isJsonObject, type Json, JsonFloat, type JsonObject } from "./json.ts";
import { LIMITS } from "./limits.ts";

export interface LineEvents {
  object(object: JsonObject): void;
  /** A line that is no JSON object, with what is wrong with it. Empty lines are nothing. */
  bad(reason: string): void;
}

export interface JsonLines {
  /** Takes `bytes[start, end)` until `paused()` says so. @returns where it stopped */
  push(bytes: Buffer, start: number, end: number): number;
  /** Forgets what was half read. */
  reset(): void;
}

const NEWLINE = 0x0a;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** `{` and `[`, `}` and `]`. */
const OPENING = [0x7b, 0x5b];
const CLOSING = [0x7d, 0x5d];

/** What a byte means to the scanner; all others mean nothing to it. */
const OPEN = 1;
const CLOSE = 2;
const STRING = 3;
const LINE = 4;
const MEANING = new Uint8Array(256);
for (const byte of OPENING) MEANING[byte] = OPEN;
for (const byte of CLOSING) MEANING[byte] = CLOSE;
MEANING[QUOTE] = STRING;
MEANING[NEWLINE] = LINE;

/** Text, values and their answer. */
const GARBAGE_PER_BYTE = 4;

/** A larger buffer is given back after use. */
const KEPT = 64 * 1024;
const EMPTY = Buffer.alloc(0);

/** Numbers that JSON.parse would round keep their value. */
function exactNumber(_name: string, value: Json, context?: { readonly source?: string }): Json {
  if (typeof value !== "number") return value;
  const source = context?.source ?? "";
  if (/^-?\d+$/.test(source)) return Number.isSafeInteger(value) ? value : BigInt(source);
  return new JsonFloat(value);
}

/** The value of a line; bytes that are not UTF-8 become U+FFFD. The parser's words are kept back: they quote the line. */
function parse(line: Buffer): Json | SyntaxError {
  try {
    return JSON.parse(line.toString("utf8"), exactNumber);
  } catch (error) {
    if (error instanceof SyntaxError) return error;
    throw error;
  }
}

/**
 * @param paused asked after each line; true keeps the rest for later
 * @param eager an object is taken as soon as it is complete, even before its newline
 */
export function createJsonLines(events: LineEvents, paused: () => boolean, eager = false): JsonLines {
  let held = EMPTY;
  let heldLength = 0;
  let depth = 0;
  let inString = false;
  let escaped = false;
  /** The line was given up: what follows up to its newline is passed over. */
  let skipping = false;

  const begin = (): void => {
    heldLength = 0;
    if (held.byteLength > KEPT) held = EMPTY;
    depth = 0;
    inString = false;
    escaped = false;
    skipping = false;
  };

  const hold = (bytes: Buffer, start: number, end: number): void => {
    const needed = heldLength + end - start;
    if (needed > held.byteLength) {
      const larger = Buffer.allocUnsafe(Math.max(needed, held.byteLength * 2, 1024));
      held.copy(larger, 0, 0, heldLength);
      held = larger;
    }
    heldLength += bytes.copy(held, heldLength, start, end);
  };

  /** Ends the message with `bytes[start, end)`. */
  const finish = (bytes: Buffer, start: number, end: number): void => {
    let line = bytes.subarray(start, end);
    if (heldLength > 0) {
      hold(bytes, start, end);
      line = held.subarray(0, heldLength);
    }
    const value = line.every(isBlank) ? undefined : parse(line);
    spent(GARBAGE_PER_BYTE * line.byteLength);
    begin();
    if (value === undefined) return;
    if (value instanceof SyntaxError) events.bad("it is not JSON");
    else if (isJsonObject(value)) events.object(value);
    else events.bad("it is not a JSON object");
  };

  const giveUp = (reason: string): void => {
    begin();
    skipping = true;
    events.bad(reason);
  };

  const push = (bytes: Buffer, start: number, end: number): number => {
    let from = start;
    for (let at = start; at < end; at++) {
      if (skipping) {
        const newline = bytes.indexOf(NEWLINE, at);
        if (newline < 0 || newline >= end) return end;
        begin();
        at = newline;
        from = at + 1;
        continue;
      }
      if (escaped) {
        escaped = false;
        if (bytes[at] !== NEWLINE) continue;
      }
      const byte = bytes[at] ?? 0;
      if (inString && byte === BACKSLASH) escaped = true;
      const meaning = MEANING[byte];
      if (meaning === 0) continue;
      let complete = meaning === LINE;
      if (meaning === STRING) inString = !inString;
      else if (!inString && meaning === OPEN && ++depth > LIMITS.depth) {
        giveUp("it is nested too deeply");
        continue;
      } else if (!inString && meaning === CLOSE && --depth === 0) complete = eager;
      if (!complete) continue;
      if (heldLength + at - from > LIMITS.lineBytes) {
        begin();
        events.bad("it is too long");
      } else finish(bytes, from, meaning === LINE ? at : at + 1);
      from = at + 1;
      if (paused()) return from;
    }
    if (skipping) return end;
    if (heldLength + end - from > LIMITS.lineBytes) giveUp("it is too long");
    else hold(bytes, from, end);
    return end;
  };

  return { push, reset: begin };
}

const isBlank = (byte: number): boolean => byte === 0x20 || byte === 0x09 || byte === 0x0d;
