/**
 * qemu's own dialect of JSON, byte by byte: single-quoted strings, errors that resynchronise at structural
 * characters, exact 64-bit integers. It decides everything that `json-stream.ts` cannot leave to JSON.parse.
 *
 * Facts: QEMU docs/interop/qmp-spec.rst and the behaviour of qemu-ga 10.
 */
import { spent } from "../memory.ts";
import { type Json, JsonFloat } from "./json.ts";
import { LIMITS } from "./limits.ts";

type TokenType = "{" | "}" | "[" | "]" | "," | ":" | "string" | "integer" | "float" | "keyword";

interface Token {
  readonly type: TokenType;
  /** The bytes of the token, one character each. */
  readonly text: string;
}

/** A message that is no JSON; its text is what the host is told. */
export class JsonError extends Error {
  override name = "JsonError";
}

export interface LexerEvents {
  value(value: Json): void;
  error(text: string): void;
}

export interface Lexer {
  /** Whether nothing is half read: no token, no message, no recovery. */
  readonly clean: boolean;
  /** Takes bytes and calls back for each value or error. @returns where it stopped: `end`, or earlier when clean again */
  push(bytes: Uint8Array, start: number, end: number, untilClean: boolean): number;
  reset(): void;
}

/** A token buffer larger than this is given back after use. */
const KEPT = 64 * 1024;

/** States of the tokenizer. */
const START = 0;
const RECOVERY = 1;
const STRING = 2;
const ESCAPE = 3;
const SIGN = 4;
const ZERO = 5;
const DIGITS = 6;
const POINT = 7;
const FRACTION = 8;
const E = 9;
const E_SIGN = 10;
const EXPONENT = 11;
const KEYWORD = 12;

const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;
const isLower = (byte: number): boolean => byte >= 0x61 && byte <= 0x7a;
const isExponent = (byte: number): boolean => byte === 0x65 || byte === 0x45;
const STRUCTURAL = ["{", "}", "[", "]", ",", ":"] as const;
const isStructural = (byte: number): boolean => STRUCTURAL.some((type) => type.charCodeAt(0) === byte);
const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;

/** The state that the first byte of a token leads to. */
function firstState(byte: number): number | undefined {
  if (byte === 0x22 || byte === 0x27) return STRING;
  if (isLower(byte)) return KEYWORD;
  return byte === 0x2d ? SIGN : NUMBER_STEPS[SIGN]?.(byte);
}

/** Where scanning goes on after an error: at a structural character, a control character but tab, 0xFE and 0xFF. */
const endsRecovery = (byte: number): boolean =>
  (byte < 0x20 && byte !== 0x09) || byte >= 0xfe || (byte < 0x80 && isStructural(byte));

/** For the number states: the state that a byte leads to; undefined ends the number or is an error. */
const NUMBER_STEPS: Readonly<Record<number, (byte: number) => number | undefined>> = {
  [SIGN]: (byte) => (byte === 0x30 ? ZERO : isDigit(byte) ? DIGITS : undefined),
  [ZERO]: (byte) => (byte === 0x2e ? POINT : undefined),
  [DIGITS]: (byte) => (isDigit(byte) ? DIGITS : byte === 0x2e ? POINT : isExponent(byte) ? E : undefined),
  [POINT]: (byte) => (isDigit(byte) ? FRACTION : undefined),
  [FRACTION]: (byte) => (isDigit(byte) ? FRACTION : isExponent(byte) ? E : undefined),
  [E]: (byte) => (byte === 0x2b || byte === 0x2d ? E_SIGN : isDigit(byte) ? EXPONENT : undefined),
  [E_SIGN]: (byte) => (isDigit(byte) ? EXPONENT : undefined),
  [EXPONENT]: (byte) => (isDigit(byte) ? EXPONENT : undefined),
};

/** What a token is when it ends in that state; the others are errors. */
const ENDS: Readonly<Record<number, TokenType>> = {
  [KEYWORD]: "keyword",
  [ZERO]: "integer",
  [DIGITS]: "integer",
  [FRACTION]: "float",
  [EXPONENT]: "float",
};

/** Makes values out of bytes, however they are cut. */
export function createLexer(events: LexerEvents): Lexer {
  let state = START;
  let quote = 0;
  /** The token being read. A string would grow a node for each byte. */
  let token = Buffer.allocUnsafe(64);
  let length = 0;
  let tokens: Token[] = [];
  let braces = 0;
  let brackets = 0;
  let size = 0;

  const append = (byte: number): void => {
    if (length === token.byteLength) {
      const larger = Buffer.allocUnsafe(length * 2);
      token.copy(larger, 0, 0, length);
      token = larger;
      spent(length);
    }
    token[length++] = byte;
  };

  const dropToken = (): void => {
    length = 0;
    if (token.byteLength <= KEPT) return;
    const size = token.byteLength;
    token = Buffer.allocUnsafe(64);
    spent(size);
  };

  const takeText = (): string => {
    const text = token.toString("latin1", 0, length);
    dropToken();
    return text;
  };

  const endMessage = (): void => {
    tokens = [];
    braces = 0;
    brackets = 0;
    size = 0;
  };

  const fail = (message: string): void => {
    endMessage();
    events.error(message);
  };

  const addToken = (type: TokenType): void => {
    const text = takeText();
    state = START;
    if (type === "{") braces++;
    else if (type === "}") braces--;
    else if (type === "[") brackets++;
    else if (type === "]") brackets--;
    if (size + text.length + 1 > LIMITS.tokenBytes) return fail("JSON token size limit exceeded");
    if (tokens.length + 1 > LIMITS.tokens) return fail("JSON token count limit exceeded");
    if (braces + brackets > LIMITS.depth) return fail("JSON nesting depth limit exceeded");
    size += text.length;
    tokens.push({ type, text });
    if ((braces > 0 || brackets > 0) && braces >= 0 && brackets >= 0) return;
    const message = tokens;
    endMessage();
    let value: Json;
    try {
      value = parseTokens(message);
    } catch (error) {
      if (!(error instanceof JsonError)) throw error;
      events.error(error.message);
      return;
    }
    events.value(value);
  };

  const stray = (byte: number): void => {
    append(byte);
    const quoted = takeText().slice(0, LIMITS.quoted).split("\0")[0] ?? "";
    state = RECOVERY;
    fail(`JSON parse error, stray '${Buffer.from(quoted, "latin1").toString("utf8")}'`);
  };

  const begin = (byte: number): void => {
    if (isSpace(byte)) return;
    const structural = byte < 0x80 ? STRUCTURAL.find((type) => type.charCodeAt(0) === byte) : undefined;
    if (structural === undefined) {
      const next = firstState(byte);
      if (next === undefined) return stray(byte);
      state = next;
      quote = byte;
      append(byte);
      return;
    }
    append(byte);
    addToken(structural);
  };

  const inString = (byte: number): void => {
    if (byte < 0x20 || byte > 0xfd) return stray(byte);
    append(byte);
    if (state === ESCAPE) state = STRING;
    else if (byte === 0x5c) state = ESCAPE;
    else if (byte === quote) addToken("string");
    else if (length > LIMITS.tokenBytes) tooLong();
  };

  /** The rest of such a token is taken for a new one. */
  const tooLong = (): void => {
    dropToken();
    state = START;
    fail("JSON token size limit exceeded");
  };

  const feed = (byte: number): void => {
    if (state === STRING || state === ESCAPE) return inString(byte);
    if (state === START) return begin(byte);
    if (state === RECOVERY) {
      if (!endsRecovery(byte)) return;
      state = START;
      return begin(byte);
    }
    const next = state === KEYWORD ? (isLower(byte) ? KEYWORD : undefined) : NUMBER_STEPS[state]?.(byte);
    if (next !== undefined) {
      append(byte);
      state = next;
      if (length > LIMITS.tokenBytes) tooLong();
      return;
    }
    const ended = ENDS[state];
    if (ended === undefined || (state === ZERO && isDigit(byte))) return stray(byte);
    addToken(ended);
    feed(byte);
  };

  const isClean = (): boolean => (state === START || state === RECOVERY) && tokens.length === 0;

  return {
    get clean() {
      return state === START && tokens.length === 0;
    },
    push(bytes, start, end, untilClean) {
      for (let at = start; at < end; at++) {
        // An opening bracket with nothing half read belongs to the fast path again.
        if (untilClean && isClean() && (bytes[at] === 0x7b || bytes[at] === 0x5b)) {
          state = START;
          return at;
        }
        feed(bytes[at]!);
      }
      return end;
    },
    reset() {
      state = START;
      takeText();
      endMessage();
    },
  };
}

/** Not characters, though they can be encoded: U+FDD0..U+FDEF and the last two of each plane. */
const NONCHARACTER =
  /[\ufdd0-\ufdef]|[\ufffe\uffff]|[\ud83f\ud87f\ud8bf\ud8ff\ud93f\ud97f\ud9bf\ud9ff\uda3f\uda7f\udabf\udaff\udb3f\udb7f\udbbf\udbff][\udffe\udfff]/;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "'": "'",
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

function plainText(bytes: string): string {
  let text: string;
  try {
    text = utf8.decode(Buffer.from(bytes, "latin1"));
  } catch {
    throw new JsonError("JSON parse error, invalid UTF-8 sequence in string");
  }
  if (NONCHARACTER.test(text)) throw new JsonError("JSON parse error, invalid UTF-8 sequence in string");
  return text;
}

/** `\uXXXX`, a pair of them when the first is a high surrogate. */
function unicodeEscape(body: string, at: number, quote: string): { readonly text: string; readonly length: number } {
  const hex = /^\\u([0-9a-fA-F]{4})/.exec(body.slice(at, at + 6))?.[1];
  const unit = hex === undefined ? -1 : Number.parseInt(hex, 16);
  const isHigh = unit >= 0xd800 && unit <= 0xdbff;
  const low = isHigh ? /^\\u([dD][c-fC-F][0-9a-fA-F]{2})/.exec(body.slice(at + 6, at + 12))?.[1] : undefined;
  const text = low === undefined ? String.fromCharCode(unit) : String.fromCharCode(unit, Number.parseInt(low, 16));
  const length = low === undefined ? 6 : 12;
  if (unit < 0 || !text.isWellFormed() || NONCHARACTER.test(text)) {
    const quoted = `${body}${quote}`.slice(at, at + length);
    throw new JsonError(`JSON parse error, ${quoted} is not a valid Unicode character`);
  }
  return { text, length };
}

/** The text of a string token, quotes included. */
function parseString(token: string): string {
  const body = token.slice(1, -1);
  let slash = body.indexOf("\\");
  if (slash < 0) return plainText(body);
  let text = "";
  let from = 0;
  while (slash >= 0) {
    text += plainText(body.slice(from, slash));
    const kind = body[slash + 1] ?? "";
    if (kind === "u") {
      const found = unicodeEscape(body, slash, token.slice(-1));
      text += found.text;
      from = slash + found.length;
    } else {
      const simple = SIMPLE_ESCAPES[kind];
      if (simple === undefined) throw new JsonError("JSON parse error, invalid escape sequence in string");
      text += simple;
      from = slash + 2;
    }
    slash = body.indexOf("\\", from);
  }
  return text + plainText(body.slice(from));
}

function parseNumber(token: Token): Json {
  if (token.type === "integer") {
    const plain = Number(token.text);
    if (Number.isSafeInteger(plain)) return plain === 0 ? 0 : plain;
    const exact = BigInt(token.text);
    if (exact >= -(2n ** 63n) && exact < 2n ** 64n) return exact;
  }
  return new JsonFloat(Number(token.text));
}

const KEYWORDS = new Map<string, Json>([
  ["true", true],
  ["false", false],
  ["null", null],
]);

function parseTokens(tokens: readonly Token[]): Json {
  let at = 0;
  const peek = (): Token => {
    const token = tokens[at];
    if (token === undefined) throw new JsonError("JSON parse error, premature EOI");
    return token;
  };
  const take = (): Token => {
    const token = peek();
    at++;
    return token;
  };

  const value = (): Json => {
    const token = peek();
    if (token.type === "{") return object();
    if (token.type === "[") return array();
    if (token.type === "string") return parseString(take().text);
    if (token.type === "integer" || token.type === "float") return parseNumber(take());
    if (token.type !== "keyword") throw new JsonError("JSON parse error, expecting value");
    const known = KEYWORDS.get(take().text);
    if (known === undefined) {
      throw new JsonError(`JSON parse error, invalid keyword '${token.text.slice(0, LIMITS.quoted)}'`);
    }
    return known;
  };

  const object = (): Json => {
    const members = new Map<string, Json>();
    take();
    if (peek().type === "}") {
      take();
      return {};
    }
    for (;;) {
      const key = value();
      if (typeof key !== "string") throw new JsonError("JSON parse error, key is not a string in object");
      if (take().type !== ":") throw new JsonError("JSON parse error, missing : in object pair");
      const member = value();
      if (members.has(key)) throw new JsonError("JSON parse error, duplicate key");
      members.set(key, member);
      const separator = take().type;
      if (separator === "}") return Object.fromEntries(members);
      if (separator !== ",") throw new JsonError("JSON parse error, expected separator in dict");
    }
  };

  const array = (): Json => {
    const items: Json[] = [];
    take();
    if (peek().type === "]") {
      take();
      return items;
    }
    for (;;) {
      items.push(value());
      const separator = take().type;
      if (separator === "]") return items;
      if (separator !== ",") throw new JsonError("JSON parse error, expected separator in list");
    }
  };

  return value();
}
