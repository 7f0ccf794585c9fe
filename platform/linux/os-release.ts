/** Which distribution this is (os-release(5)). */
import { textOf } from "./whole-file.ts";

const ASSIGNMENT = /^[ \t]*([A-Za-z_]\w*)[ \t]*=[ \t]*(.*)$/gm;
const DOUBLE_QUOTED = /^"((?:[^"\\]|\\.)*)/;
const SINGLE_QUOTED = /^'([^']*)/;
const ESCAPE = /\\([$'"\\`])/g;

/** A shell word without its quotes; a word without any ends at a space or semicolon. */
function unquoted(value: string): string {
  const double = DOUBLE_QUOTED.exec(value);
  if (double !== null) return (double[1] ?? "").replace(ESCAPE, "$1");
  const single = SINGLE_QUOTED.exec(value);
  return single?.[1] ?? value.split(/[ ;\r]/, 1)[0] ?? "";
}

/** @returns the values by name; the last of equal names counts. Lines that assign nothing are passed over. */
export function parseOsRelease(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const [, name = "", value = ""] of text.matchAll(ASSIGNMENT)) values.set(name, unquoted(value));
  return values;
}

const PATHS = ["/etc/os-release", "/usr/lib/os-release"];

let parsed: { readonly text: string; readonly values: ReadonlyMap<string, string> } = { text: "", values: new Map() };

/** The first of the files that can be read; `$QGA_OS_RELEASE` names another. Empty when there is none. */
export function readOsRelease(): ReadonlyMap<string, string> {
  const chosen = process.env.QGA_OS_RELEASE;
  let text: string | undefined;
  for (const path of chosen === undefined ? PATHS : [chosen]) text ??= textOf(path);
  if (text !== undefined && text !== parsed.text) parsed = { text, values: parseOsRelease(text) };
  return text === undefined ? new Map() : parsed.values;
}
