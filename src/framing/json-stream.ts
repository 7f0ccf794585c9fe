/**
 * Bytes to JSON values as the QEMU guest agent protocol has them: a stream of values, not of lines.
 *
 * The common case runs at the speed of a memory scan: the end of a message is found by counting brackets and
 * jumping over strings, then JSON.parse does the rest. Whatever is not plain (single quotes, numbers that
 * JSON.parse would round, bytes beyond ASCII, errors) goes through `qemu-json.ts` instead, from the first byte
 * of the message, so that both ways agree.
 *
 * The body of one long string can be handed over in slices while it arrives: see `LongString`.
 */
import { isAscii } from "node:buffer";
import { spent } from "../memory.ts";
import { isJsonObject, type Json, type JsonObject } from "./json.ts";
import { LIMITS } from "./limits.ts";
import { createLexer } from "./qemu-json.ts";

/** Takes the body of a string as it arrives. */
export interface LongString {
  /** Bytes of the body, escapes resolved; valid only during the call. */
  slice(bytes: Buffer, start: number, end: number): void;
  /** The message turned out to be broken. @returns what the host should know besides */
  abort(): string;
}

export interface StreamEvents {
  /** @param long the string that went to `longString`, which is "" in the value */
  value(value: Json, long: LongString | undefined): void;
  error(text: string): void;
  /**
   * A string is long and not over: `message` is what was there before it, with "" as the value of `member`, the
   * last of its `arguments`. The result takes the body; without one it is kept in memory.
   */
  longString(message: JsonObject, member: string): LongString | undefined;
}

export interface JsonStream {
  /** Takes `bytes[start, end)` until `paused()` says so. @returns where it stopped */
  push(bytes: Buffer, start: number, end: number): number;
  /** Forgets what was half read. */
  reset(): void;
}

/** What a byte outside of strings means to the scanner. */
const SPACE = 1;
const OPEN = 2;
const CLOSE = 3;
const COMMA = 4;
const COLON = 5;
const QUOTE = 6;
const LETTER = 7;
const DIGIT = 8;
const ODD = 9;

const CLASSES = new Uint8Array(256).fill(ODD);
for (const [characters, kind] of [
  [" \t\r\n", SPACE],
  ["{[", OPEN],
  ["}]", CLOSE],
  [",", COMMA],
  [":", COLON],
  ['"', QUOTE],
  ["aeflnrstu", LETTER],
  ["-0123456789", DIGIT],
] as const) {
  for (const character of characters) CLASSES[character.charCodeAt(0)] = kind;
}

const RESET = 0xff;
const LINE_FEED = 0x0a;
const DOUBLE_QUOTE = 0x22;
const SINGLE_QUOTE = 0x27;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** A string is looked at byte by byte for so long before the native search takes over. */
const NEAR = 96;
/** A string that has got so long without ending is offered to `longString`. */
const LONG = 16 * 1024;
/** Digits beyond which JSON.parse might round. */
const SAFE_DIGITS = 15;
/** Blanks in a message beyond which it is not kept as it came. */
const MANY_SPACES = 1024 * 1024;
/** A message buffer larger than this is given back after use. */
const KEPT = 256 * 1024;

const EMPTY = Buffer.alloc(0);

/** Where `byte` first is in `bytes[start, end)`; `end` when it is not there. The native search pays from some length on. */
function indexOfByte(bytes: Buffer, byte: number, start: number, end: number): number {
  const near = Math.min(end, start + NEAR);
  for (let at = start; at < near; at++) if (bytes[at] === byte) return at;
  if (near === end) return end;
  const found = bytes.subarray(near, end).indexOf(byte);
  return found < 0 ? end : near + found;
}

/** How the scanner stands. */
type Mode = "between" | "message" | "lexer" | "swallow";

/** Whether no object of the message has more or fewer members than it has colons, so that no key came twice. */
function hasOnlyItsMembers(value: Json, colons: number): boolean {
  if (!isJsonObject(value)) return false;
  let members = 0;
  for (const name in value) {
    members++;
    const member = value[name];
    if (typeof member !== "object" || member === null) continue;
    // Deeper levels are rare: they are left to the exact parser.
    if (!isJsonObject(member)) {
      for (const item of member as readonly Json[]) if (typeof item === "object" && item !== null) return false;
      continue;
    }
    for (const inner in member) {
      members++;
      const deep = member[inner];
      if (typeof deep !== "object" || deep === null) continue;
      if (isJsonObject(deep)) return false;
      for (const item of deep as readonly Json[]) if (typeof item === "object" && item !== null) return false;
    }
  }
  return members === colons;
}

/** @param paused asked after each value; true keeps the rest for later */
export function createJsonStream(events: StreamEvents, paused: () => boolean): JsonStream {
  let mode: Mode = "between";
  /** What has come of the message, without the body of a string that is handed over. */
  let held = EMPTY;
  let heldLength = 0;
  let depth = 0;
  /** How much of the depth is braces. */
  let braces = 0;
  let quote = 0;
  let escaped = false;
  /** Bytes of the current string so far. */
  let stringLength = 0;
  /** Where the current string begins in `held` once it is all there. */
  let stringAt = 0;
  /** Whether something was seen that JSON.parse must not decide. */
  let odd = false;
  /** Whether a byte was seen with which the exact parser would complain at once, without waiting for the end. */
  let broken = false;
  /** Whether a string was jumped over, so that its bytes were not looked at. */
  let jumped = false;
  let colons = 0;
  let tokens = 0;
  let digits = 0;
  let spaces = 0;
  let handedOver = 0;
  let long: LongString | undefined;
  /** Whether the current string is the one that is handed over. */
  let inLong = false;
  let longEscape = "";
  let longError = "";
  let offered = false;
  /** Who took the body of a message that the exact parser is about to refuse. */
  let aborted: LongString | undefined;
  const oneByte = Buffer.alloc(4);

  const lexer = createLexer({
    value: (value) => events.value(value, undefined),
    error: (text) => {
      events.error(`${text}${aborted?.abort() ?? ""}`);
      aborted = undefined;
    },
  });

  const hold = (bytes: Buffer, start: number, end: number): void => {
    const needed = heldLength + end - start;
    if (needed > held.byteLength) {
      const larger = Buffer.allocUnsafe(Math.max(needed, held.byteLength * 2, 4096));
      held.copy(larger, 0, 0, heldLength);
      held = larger;
      spent(heldLength);
    }
    bytes.copy(held, heldLength, start, end);
    heldLength = needed;
  };

  /** Gives a large message buffer back. */
  const letGo = (): void => {
    if (held.byteLength <= KEPT) return;
    const size = held.byteLength;
    held = EMPTY;
    spent(size);
  };

  const beginMessage = (): void => {
    mode = "message";
    heldLength = 0;
    depth = 0;
    braces = 0;
    quote = 0;
    escaped = false;
    odd = false;
    broken = false;
    jumped = false;
    colons = 0;
    tokens = 0;
    digits = 0;
    spaces = 0;
    handedOver = 0;
    long = undefined;
    inLong = false;
    longEscape = "";
    longError = "";
    offered = false;
  };

  const endMessage = (): void => {
    mode = "between";
    heldLength = 0;
    long = undefined;
    letGo();
  };

  /** Lets the exact parser decide over bytes that the scanner has taken already. */
  const lex = (bytes: Buffer, start: number, end: number): void => {
    lexer.push(bytes, start, end, false);
    mode = lexer.clean ? "between" : "lexer";
  };

  const finishLong = (bytes: Buffer, start: number, end: number): void => {
    const taker = long;
    if (longError !== "") return events.error(`${longError}${taker?.abort() ?? ""}`);
    let failure = "";
    createLexer({
      value: (value) => events.value(value, taker),
      error: (text) => {
        failure ||= text;
      },
    }).push(bytes, start, end, false);
    if (failure !== "") events.error(`${failure}${taker?.abort() ?? ""}`);
  };

  /** The message is `bytes[start, end)`. */
  const finish = (bytes: Buffer, start: number, end: number): void => {
    if (long !== undefined) {
      finishLong(bytes, start, end);
      return endMessage();
    }
    if (!odd && tokens <= LIMITS.tokens && (!jumped || isAscii(bytes.subarray(start, end)))) {
      let value: Json | undefined;
      try {
        value = JSON.parse(bytes.toString("latin1", start, end));
        spent(end - start);
      } catch {
        // Not JSON after all: the exact parser words the error.
      }
      if (value !== undefined && hasOnlyItsMembers(value, colons)) {
        endMessage();
        return events.value(value, undefined);
      }
    }
    const copy = bytes === held ? held : bytes;
    endMessage();
    lex(copy, start, end);
  };

  const limit = (text: string): void => {
    mode = "swallow";
    const note = long?.abort() ?? "";
    long = undefined;
    inLong = false;
    heldLength = 0;
    letGo();
    events.error(`${text}${note}`);
  };

  /** What the message holds before the current string, closed so that it can be parsed. */
  const offer = (): void => {
    offered = true;
    if (depth !== 2 || quote !== DOUBLE_QUOTE || escaped) return;
    const before = Buffer.concat([held.subarray(0, stringAt), Buffer.from('""}}')]);
    let message: Json | undefined;
    createLexer({
      value: (value) => {
        message = value;
      },
      error: () => {},
    }).push(before, 0, before.byteLength, false);
    if (message === undefined || !isJsonObject(message)) return;
    const given = message.arguments;
    const member = given !== undefined && isJsonObject(given) ? Object.keys(given).at(-1) : undefined;
    if (member === undefined) return;
    const body = held.subarray(stringAt + 1, heldLength);
    if (body.includes(BACKSLASH)) return;
    long = events.longString(message, member);
    if (long === undefined) return;
    inLong = true;
    heldLength = stringAt + 1;
    handedOver += body.byteLength;
    long.slice(body, 0, body.byteLength);
  };

  /** Resolves an escape inside a string that is handed over, one byte at a time. */
  const takeEscape = (byte: number): void => {
    longEscape += String.fromCharCode(byte);
    if (longEscape.length === 2 && longEscape !== "\\u") {
      resolveEscape();
    } else if (longEscape.length === 6) resolveEscape();
  };

  const resolveEscape = (): void => {
    let text: string;
    try {
      text = longEscape === "\\'" ? "'" : String(JSON.parse(`"${longEscape}"`));
    } catch {
      longError ||= "JSON parse error, invalid escape sequence in string";
      text = "";
    }
    longEscape = "";
    if (longError === "") long?.slice(oneByte, 0, oneByte.write(text, 0));
  };

  /** Hands over the body from `at`. @returns the index behind it: of the closing quote, or `end` */
  const takeLong = (bytes: Buffer, at: number, end: number): number => {
    let from = at;
    while (from < end) {
      if (longEscape !== "") {
        takeEscape(bytes[from++]!);
        continue;
      }
      const body = bytes.subarray(from, indexOfByte(bytes, DOUBLE_QUOTE, from, end));
      const feed = body.indexOf(LINE_FEED);
      if (feed >= 0) {
        broken = true;
        return from + feed;
      }
      const slash = body.indexOf(BACKSLASH);
      const stop = from + (slash < 0 ? body.byteLength : slash);
      if (stop > from && longError === "") long?.slice(bytes, from, stop);
      handedOver += stop - from;
      from = stop;
      if (slash < 0) break;
      longEscape = "\\";
      from++;
    }
    return from;
  };

  /** Looks for the end of a string from `at`. @returns the index of the closing quote, or `end` */
  const skipString = (bytes: Buffer, at: number, end: number): number => {
    const near = Math.min(end, at + NEAR);
    let from = at;
    while (from < near) {
      const byte = bytes[from]!;
      if (escaped) {
        escaped = false;
        // Which code an escape stands for may be no character.
        if (byte === 0x75) odd = true;
      } else if (byte === quote) return from;
      else if (byte === BACKSLASH) escaped = true;
      if (byte < 0x20) {
        broken = true;
        return from;
      }
      if (byte > 0x7e) odd = true;
      from++;
    }
    jumped = true;
    const stop = jumpString(bytes, from, end);
    if (bytes.subarray(from, stop).includes(LINE_FEED)) broken = true;
    if (escaped || bytes.subarray(from, stop).includes("\\u")) odd = true;
    escaped = stop === end && endsEscaped(bytes, from, end);
    return stop;
  };

  /** Whether an odd number of backslashes ends `bytes[start, end)`, the one that `escaped` stands for included. */
  const endsEscaped = (bytes: Buffer, start: number, end: number): boolean => {
    let slashes = 0;
    while (end - slashes > start && bytes[end - 1 - slashes] === BACKSLASH) slashes++;
    const carried = escaped && slashes === end - start;
    return (slashes + Number(carried)) % 2 === 1;
  };

  /** From quote to quote until one is not escaped. @returns its index, or `end` */
  const jumpString = (bytes: Buffer, start: number, end: number): number => {
    for (let from = start; ; ) {
      const stop = indexOfByte(bytes, quote, from, end);
      if (stop === end || !endsEscaped(bytes, start, stop)) return stop;
      from = stop + 1;
    }
  };

  /** Leaves the message to the exact parser. @returns where that stopped */
  const giveUp = (bytes: Buffer, from: number, end: number): number => {
    const before = held;
    const length = heldLength;
    aborted = long;
    endMessage();
    lexer.push(before, 0, length, false);
    // One byte at least: it would give the opening bracket of a message right back.
    lexer.push(bytes, from, from + 1, false);
    mode = "lexer";
    return lexerMode(bytes, from + 1, end);
  };

  /** Scans on in a message. @returns where it stopped: behind the message, or `end` */
  const scan = (bytes: Buffer, start: number, end: number): number => {
    let at = start;
    // Where the part of the message begins that is not in `held` yet.
    let from = start;
    while (at < end) {
      if (quote !== 0) {
        if (inLong) {
          at = takeLong(bytes, at, end);
          from = at;
          if (broken) return giveUp(bytes, from, end);
          if (handedOver + heldLength > LIMITS.tokenBytes) {
            limit("JSON token size limit exceeded");
            return at;
          }
        } else {
          const stop = skipString(bytes, at, end);
          if (broken) return giveUp(bytes, from, end);
          stringLength += stop - at;
          at = stop;
        }
        if (at === end) break;
        quote = 0;
        inLong = false;
        at++;
        continue;
      }
      const byte = bytes[at]!;
      const kind = CLASSES[byte]!;
      if (kind === DIGIT) {
        if (digits === 0) tokens++;
        if (++digits > SAFE_DIGITS) odd = true;
        at++;
        continue;
      }
      if (kind === LETTER) {
        if (digits > 0) odd = true;
        at++;
        continue;
      }
      digits = 0;
      if (kind === SPACE) {
        spaces++;
        at++;
        continue;
      }
      tokens++;
      if (kind === QUOTE || byte === SINGLE_QUOTE) {
        quote = byte;
        if (byte === SINGLE_QUOTE) odd = true;
        escaped = false;
        stringLength = 0;
        stringAt = heldLength + at - from;
        offered = long !== undefined;
      } else if (kind === OPEN) {
        if (byte === OPEN_BRACE) braces++;
        if (++depth > LIMITS.depth) {
          limit("JSON nesting depth limit exceeded");
          return at + 1;
        }
      } else if (kind === CLOSE) {
        if (byte === CLOSE_BRACE) braces--;
        // One bracket too many of a kind ends the message, whatever is open of the other kind.
        if (--depth === 0 || braces < 0 || depth < braces) {
          at++;
          if (heldLength === 0) finish(bytes, from, at);
          else {
            hold(bytes, from, at);
            finish(held, 0, heldLength);
          }
          return at;
        }
      } else if (kind === COLON) colons++;
      else if (kind === ODD) return giveUp(bytes, from, end);
      at++;
    }
    // The exact parser keeps no blanks.
    if (spaces > MANY_SPACES && long === undefined) return giveUp(bytes, from, end);
    hold(bytes, from, end);
    // Beside a string that is handed over, nothing else bounds the blanks.
    const size = heldLength + handedOver - (long === undefined ? spaces : 0);
    if (size > LIMITS.tokenBytes) limit("JSON token size limit exceeded");
    else if (tokens > LIMITS.tokens) limit("JSON token count limit exceeded");
    else if (quote !== 0 && stringLength >= LONG && !offered) offer();
    return end;
  };

  /** Passes over what is left of a message that broke a limit. */
  const swallow = (bytes: Buffer, start: number, end: number): number => {
    let at = start;
    while (at < end) {
      if (quote !== 0) {
        at = skipString(bytes, at, end);
        if (at === end) return end;
        quote = 0;
      } else {
        const byte = bytes[at]!;
        const kind = CLASSES[byte]!;
        if (kind === QUOTE || byte === SINGLE_QUOTE) {
          quote = byte;
          escaped = false;
        } else if (kind === OPEN) depth++;
        else if (kind === CLOSE && --depth <= 0) {
          endMessage();
          return at + 1;
        }
      }
      at++;
    }
    return end;
  };

  const betweenMessages = (bytes: Buffer, start: number, end: number): number => {
    let at = start;
    while (at < end && CLASSES[bytes[at]!] === SPACE) at++;
    if (at === end) return end;
    if (CLASSES[bytes[at]!] === OPEN) {
      beginMessage();
      return scan(bytes, at, end);
    }
    mode = "lexer";
    return at;
  };

  const lexerMode = (bytes: Buffer, start: number, end: number): number => {
    const stopped = lexer.push(bytes, start, end, true);
    if (stopped < end || lexer.clean) mode = "between";
    return stopped;
  };

  const steps: Readonly<Record<Mode, (bytes: Buffer, start: number, end: number) => number>> = {
    between: betweenMessages,
    message: scan,
    lexer: lexerMode,
    swallow,
  };

  /** A 0xFF byte ends whatever is half read with one parse error. */
  const resetByte = (bytes: Buffer, at: number): void => {
    if (mode === "message") {
      giveUp(bytes, at, at + 1);
      return;
    }
    if (mode === "swallow") endMessage();
    lexer.push(bytes, at, at + 1, false);
    mode = "lexer";
  };

  return {
    push(bytes, start, end) {
      let at = start;
      while (at < end && !paused()) {
        const stop = indexOfByte(bytes, RESET, at, end);
        while (at < stop && !paused()) at = steps[mode](bytes, at, stop);
        if (at === stop && stop < end && !paused()) {
          resetByte(bytes, stop);
          at = stop + 1;
        }
      }
      return at;
    },
    reset() {
      long?.abort();
      lexer.reset();
      endMessage();
    },
  };
}
