/** JSON values as the wire has them, and their text in qemu's spelling. */

/** A number written with a point or an exponent, or too large for 64 bits: an integer is not accepted in its place. */
export class JsonFloat {
  constructor(readonly value: number) {}
}

export type Json = null | boolean | number | bigint | string | JsonFloat | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [member: string]: Json;
}

/** What a reply may hold: as `Json`, and members that are `undefined` are left out. */
export type Writable =
  | null
  | boolean
  | number
  | bigint
  | string
  | JsonFloat
  | readonly Writable[]
  | { readonly [member: string]: Writable | undefined };

export const isJsonObject = (value: Json): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof JsonFloat);

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};
const SPECIAL = /["\\]|[^\x20-\x7e]/;
const SPECIALS = /["\\]|[^\x20-\x7e]/g;
const SURROGATE = /[\ud800-\udfff]/;

const escaped = (unit: string): string =>
  ESCAPES[unit] ?? `\\u${unit.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

/** A JSON string in ASCII only; half of a surrogate pair becomes U+FFFD, as qemu writes what is no character. */
export function stringToJson(text: string): string {
  if (!SPECIAL.test(text)) return `"${text}"`;
  const whole = SURROGATE.test(text) ? text.toWellFormed() : text;
  return `"${whole.replace(SPECIALS, escaped)}"`;
}

/**
 * A double with the 17 digits of C's `%.17g`, so that it reads back exactly; what JSON cannot say becomes null.
 */
function doubleToJson(value: number): string {
  if (!Number.isFinite(value)) return "null";
  const digits = value.toPrecision(17);
  const [mantissa = "", exponent] = digits.split("e");
  const short = mantissa.includes(".") ? mantissa.replace(/\.?0+$/, "") : mantissa;
  if (exponent === undefined) return short;
  const sign = exponent.startsWith("-") ? "-" : "+";
  return `${short}e${sign}${exponent.replace(/^[+-]/, "").padStart(2, "0")}`;
}

/** One line of JSON with qemu's spacing: `{"a": [1, 2]}`. */
export function toJson(value: Writable): string {
  if (typeof value === "string") return stringToJson(value);
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : doubleToJson(value);
  if (typeof value !== "object" || value === null) return String(value);
  if (value instanceof JsonFloat) return doubleToJson(value.value);
  if (isList(value)) return `[${value.map(toJson).join(", ")}]`;
  let text = "{";
  for (const name in value) {
    const member = value[name];
    if (member === undefined) continue;
    text += `${text.length > 1 ? ", " : ""}${stringToJson(name)}: ${toJson(member)}`;
  }
  return `${text}}`;
}

const isList = (value: object): value is readonly Writable[] => Array.isArray(value);
