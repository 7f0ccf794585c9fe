/**
 * The types of the QGA schema as valibot schemas.
 *
 * Each schema's message is the type's name as qemu prints it; `dispatch.ts` turns an issue and its path into
 * qemu's sentence ("Invalid parameter type for 'id', expected: integer").
 */
import * as v from "valibot";
import { JsonFloat } from "../../framing/json.ts";
import { isKeyOf } from "../../objects.ts";

/** A value of the wire: integers beyond 2^53 are bigint, numbers written with a point or exponent are `JsonFloat`. */
const isInteger = (low: bigint, high: bigint) => (input: unknown) =>
  (typeof input === "number" || typeof input === "bigint") && input >= low && input <= high;

/** int64: a number when it is safe, otherwise a bigint. */
export const int64 = v.custom<number | bigint>(isInteger(-(2n ** 63n), 2n ** 63n - 1n), "integer");

/** The one type whose error has a sentence of its own. */
export const UINT64 = "uint64";

/** uint64: a number when it is safe, otherwise a bigint. Negative numbers wrap, as qemu reads them. */
export const uint64 = v.pipe(
  v.custom<number | bigint>(isInteger(-(2n ** 63n), 2n ** 64n - 1n), UINT64),
  v.transform((value) => (value < 0 ? BigInt.asUintN(64, BigInt(value)) : value)),
);

/** A double; no argument has this type. */
export const number = v.number("number");

export const string = v.string("string");
export const boolean = v.boolean("boolean");

/** A list; items are named `member[index]` in errors. */
export const list = <const Item extends v.GenericSchema>(item: Item) => v.array(item, "array");

/** A struct; missing and unknown members are errors. */
export const struct = <const Entries extends v.ObjectEntries>(entries: Entries) => v.strictObject(entries, "object");

/** Marks an issue whose text is the value that is not accepted. */
export const NOT_ACCEPTED = "value:";

/** An enumeration; another string is "does not accept value". */
export const enumeration = <const Names extends readonly string[]>(names: Names) =>
  v.pipe(
    v.string("string"),
    v.check(
      (value) => names.includes(value),
      (issue) => NOT_ACCEPTED + issue.input,
    ),
    v.transform((value): Names[number] => value),
    v.metadata({ names }),
  );

const kindOf = (input: unknown): string =>
  typeof input === "bigint" || input instanceof JsonFloat ? "number" : typeof input;

const member = <T extends object>(object: T, key: PropertyKey): T[keyof T] | undefined =>
  isKeyOf(key, object) ? object[key] : undefined;

/**
 * One of several types, told apart by the kind of JSON value.
 * @param name the schema's name, which errors show
 * @param options schemas by kind: `string`, `number`, `boolean`
 */
export const alternate = <const Options extends Readonly<Record<string, v.GenericSchema>>>(
  name: string,
  options: Options,
) => {
  const other = v.never(name);
  return v.pipe(
    v.lazy((input): Options[keyof Options] | typeof other => member(options, kindOf(input)) ?? other),
    v.metadata({ options: Object.values(options) }),
  );
};

/** A member that may be left out. */
export const optional = <const Item extends v.GenericSchema>(item: Item) => v.optional(item);
