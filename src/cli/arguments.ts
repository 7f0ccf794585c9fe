/** Arguments of a command as a person types them: `path=/etc/hostname count=100 arg=-l arg=/`. */
import type { GenericSchema } from "valibot";
import type { Command } from "../dialect/qga/command.ts";
import type { Json } from "../framing/json.ts";
import { parseJson } from "./client.ts";

/** Words that are no arguments. */
export class ArgumentError extends Error {
  override name = "ArgumentError";
}

type Schema = GenericSchema | undefined;

const isSchema = (value: unknown): value is GenericSchema =>
  typeof value === "object" && value !== null && "kind" in value && value.kind === "schema";

/** What an optional schema is about, and what the items of a list are. */
function innerSchema(schema: Schema, member: "wrapped" | "item"): Schema {
  const inner: unknown = schema === undefined ? undefined : Object.getOwnPropertyDescriptor(schema, member)?.value;
  return isSchema(inner) ? inner : undefined;
}

/** JSON where it is JSON with a finite number in it, and otherwise the text itself. */
function guess(text: string): Json {
  try {
    const value = parseJson(text);
    return typeof value === "number" && !Number.isFinite(value) ? text : value;
  } catch {
    return text;
  }
}

/** A text where the command wants one, even if it looks like a number. */
const typed = (schema: Schema, text: string): Json => (schema?.type === "string" ? text : guess(text));

/** All that was given for one argument. */
function readValue(schema: Schema, texts: readonly string[]): Json {
  const [only = "", ...more] = texts;
  if (schema?.type === "array") {
    const whole = more.length === 0 && only.startsWith("[") ? guess(only) : undefined;
    return Array.isArray(whole) ? whole : texts.map((text) => typed(innerSchema(schema, "item"), text));
  }
  return more.length === 0 ? typed(schema, only) : texts.map((text) => typed(schema, text));
}

/**
 * @param words `key=value`; a key that is given again makes a list
 * @param command undefined when it is not known: the types then are guessed
 * @throws ArgumentError
 */
export function readArguments(words: readonly string[], command: Command | undefined): Record<string, Json> {
  const texts = new Map<string, string[]>();
  for (const word of words) {
    const equals = word.indexOf("=");
    if (equals < 1) throw new ArgumentError(`'${word}' is not KEY=VALUE`);
    const key = word.slice(0, equals);
    texts.set(key, [...(texts.get(key) ?? []), word.slice(equals + 1)]);
  }
  return Object.fromEntries(
    [...texts].map(([key, given]) => {
      const schema = command?.arguments[key];
      const wanted = isSchema(schema) ? (innerSchema(schema, "wrapped") ?? schema) : undefined;
      return [key, readValue(wanted, given)];
    }),
  );
}
