/**
 * Key files as GLib reads and writes them: groups in brackets, `key=value` lines, `#` comments.
 *
 * Format: Desktop Entry Specification, and the behaviour of GLib 2.84 where that leaves things open.
 */

/** One `key=value` line. */
export interface KeyFileEntry {
  readonly group: string;
  readonly key: string;
  /** The value as it is written, escapes and trailing blanks included. */
  readonly raw: string;
  /** Line number, from 1. */
  readonly line: number;
}

/** A line that does not belong into a key file. */
export class KeyFileError extends Error {
  override name = "KeyFileError";

  constructor(
    readonly line: number,
    reason: string,
  ) {
    super(reason);
  }
}

/** A value that is not of the wanted type. */
export class KeyFileValueError extends Error {
  override name = "KeyFileValueError";
}

const BYTE_ORDER_MARK = "\ufeff";
const LEADING_BLANKS = /^[ \t\f\r]+/;
const TRAILING_BLANKS = /[ \t\f\r]+$/;
const GROUP_LINE = /^\[([^\]]*)\][ \t]*$/;
const GROUP_NAME = /^[^[\]\x00-\x1f\x7f]+$/;
/** A name, and perhaps a locale: `comment[de_DE@euro]`. */
const KEY_NAME = /^([^[\]=]+)(\[[\p{L}\p{N}\-_.@]+\])?$/u;

/**
 * The entries in the order of the file; a later one of the same group and key overrides.
 * Translations (`key[de]`) are left out, as no setting has one.
 * @throws KeyFileError
 */
export function parseKeyFile(text: string): KeyFileEntry[] {
  const entries: KeyFileEntry[] = [];
  let group: string | undefined;
  const lines = (text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text).split("\n");
  for (const [index, written] of lines.entries()) {
    const number = index + 1;
    const line = (written.endsWith("\r") ? written.slice(0, -1) : written).replace(LEADING_BLANKS, "");
    if (line === "" || line.startsWith("#")) continue;
    const header = GROUP_LINE.exec(line)?.[1];
    if (header !== undefined) {
      if (!GROUP_NAME.test(header)) throw new KeyFileError(number, `invalid group name '${header}'`);
      group = header;
      continue;
    }
    const equals = line.indexOf("=");
    if (equals < 1) throw new KeyFileError(number, `'${line}' is not a key=value pair, a [group] or a # comment`);
    if (group === undefined) throw new KeyFileError(number, "a [group] must come before the first key");
    const name = line.slice(0, equals).replace(TRAILING_BLANKS, "");
    const [, key, locale] = KEY_NAME.exec(name) ?? [];
    if (key === undefined) throw new KeyFileError(number, `invalid key name '${name}'`);
    if (locale !== undefined) continue;
    entries.push({ group, key, raw: line.slice(equals + 1).replace(LEADING_BLANKS, ""), line: number });
  }
  return entries;
}

const UNESCAPED: Readonly<Record<string, string>> = { s: " ", n: "\n", t: "\t", r: "\r", "\\": "\\" };

/** A value as text: `\s \n \t \r \\` are resolved. @throws KeyFileValueError */
export function keyFileString(raw: string): string {
  return raw.replace(/\\(.?)/gs, (sequence, letter: string) => {
    const meant = UNESCAPED[letter];
    if (meant === undefined)
      throw new KeyFileValueError(`invalid escape '${sequence}' (known are \\s \\n \\t \\r \\\\)`);
    return meant;
  });
}

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["1", true],
  ["false", false],
  ["0", false],
]);

/** A value as a boolean; undefined when it is none. */
export function keyFileBoolean(raw: string): boolean | undefined {
  return BOOLEANS.get(raw.replace(TRAILING_BLANKS, ""));
}

const ESCAPED: Readonly<Record<string, string>> = {
  " ": "\\s",
  "\t": "\\t",
  "\n": "\\n",
  "\r": "\\r",
  "\\": "\\\\",
};

/** Text as a value; blanks need an escape only where they lead. */
export function escapeKeyFileString(text: string): string {
  const lead = /^[ \t\n\r]*/.exec(text)?.[0] ?? "";
  const escapeAll = (part: string, those: RegExp): string =>
    part.replace(those, (character) => ESCAPED[character] ?? "");
  return escapeAll(lead, /[ \t\n\r]/g) + escapeAll(text.slice(lead.length), /[\n\r\\]/g);
}

/** A key file with one group. Booleans become `true` and `false`. */
export function printKeyFile(
  group: string,
  entries: Iterable<readonly [key: string, value: string | boolean]>,
): string {
  let text = `[${group}]\n`;
  for (const [key, value] of entries) {
    text += `${key}=${typeof value === "boolean" ? value : escapeKeyFileString(value)}\n`;
  }
  return text;
}
