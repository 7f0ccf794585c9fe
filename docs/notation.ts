/** Wire schemas as text: `{"count": integer, "eof": boolean, "note"?: string}`. */
import type * as v from "valibot";

type Schema = v.GenericSchema;

const has = <Name extends string>(value: object, name: Name): value is Record<Name, unknown> => name in value;

const isSchema = (value: unknown): value is Schema =>
  typeof value === "object" && value !== null && has(value, "kind") && value.kind === "schema";

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null;

function part(schema: object, name: string): Schema {
  const inner = has(schema, name) ? schema[name] : undefined;
  if (!isSchema(inner)) throw new Error(`a schema without ${name}`);
  return inner;
}

/** What `wire.ts` has noted on a schema for its readers. */
function notes(schema: Schema): Readonly<Record<string, unknown>> {
  const pipe = has(schema, "pipe") && Array.isArray(schema.pipe) ? schema.pipe : [];
  const actions = pipe.filter((action) => isRecord(action) && action.type === "metadata");
  return Object.assign({}, ...actions.map(({ metadata }) => metadata));
}

export const isOptional = (schema: Schema): boolean => schema.type === "optional";

/** The items' schema of a list, the schema itself when it is none. */
export const itemOf = (schema: Schema): Schema => (schema.type === "array" ? part(schema, "item") : schema);

/** The members of a struct. */
export function members(schema: Schema): readonly (readonly [name: string, schema: Schema])[] {
  const entries = has(schema, "entries") && isRecord(schema.entries) ? Object.entries(schema.entries) : [];
  return entries.map(([name, entry]) => {
    if (!isSchema(entry)) throw new Error(`member ${name} is no schema`);
    return [name, entry];
  });
}

const READERS: Readonly<Record<string, (schema: Schema) => string>> = {
  optional: (schema) => notation(part(schema, "wrapped")),
  array: (schema) => `[${notation(part(schema, "item"))}, …]`,
  record: (schema) => `{NAME: ${notation(part(schema, "value"))}, …}`,
  strict_object: (schema) =>
    `{${members(schema)
      .map(([name, entry]) => `"${name}"${isOptional(entry) ? "?" : ""}: ${notation(entry)}`)
      .join(", ")}}`,
};

/** A schema in one line. A member with a question mark may be missing. */
export function notation(schema: Schema): string {
  const { names, options } = notes(schema);
  if (Array.isArray(names)) return names.map((name) => JSON.stringify(name)).join(" | ");
  if (Array.isArray(options)) return options.filter(isSchema).map(notation).join(" | ");
  const read = READERS[schema.type];
  if (read !== undefined) return read(schema);
  if (has(schema, "message") && typeof schema.message === "string") return schema.message;
  throw new Error(`no notation for a schema of type ${schema.type}`);
}
