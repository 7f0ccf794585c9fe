/** What the oVirt host can take: it puts each string it gets into XML. */
import { JsonFloat, type Writable } from "../../framing/json.ts";

/** Halves of surrogate pairs, what is no character, and the restricted characters of XML 1.1 (section 2.2). */
const UNFIT =
  /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

const fitText = (text: string): string => text.replace(UNFIT, "\ufffd");

const isList = (value: object): value is readonly Writable[] => Array.isArray(value);

/** The value with U+FFFD in place of each character that is unfit, in keys too. */
export function fitForXml(value: Writable): Writable {
  if (typeof value === "string") return fitText(value);
  if (typeof value !== "object" || value === null || value instanceof JsonFloat) return value;
  if (isList(value)) return value.map(fitForXml);
  // Not by assignment: a member may be called `__proto__`.
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      fitText(name),
      member === undefined ? undefined : fitForXml(member),
    ]),
  );
}
