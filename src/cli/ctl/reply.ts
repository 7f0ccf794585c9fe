/** Members of what an agent has returned. Whatever answers may be no agent of ours: nothing is taken on trust. */
import { isJsonObject, type Json } from "../../framing/json.ts";
import { ConnectionError } from "../client.ts";

export const memberOf = (value: Json | undefined, name: string): Json | undefined =>
  value !== undefined && isJsonObject(value) ? value[name] : undefined;

/** A number; undefined when there is none. */
export function numberOf(value: Json | undefined, name: string): number | undefined {
  const member = memberOf(value, name);
  return typeof member === "number" || typeof member === "bigint" ? Number(member) : undefined;
}

export function textOf(value: Json | undefined, name: string): string | undefined {
  const member = memberOf(value, name);
  return typeof member === "string" ? member : undefined;
}

export const isTrue = (value: Json | undefined, name: string): boolean => memberOf(value, name) === true;

/** The items of a list; none when it is no list. */
export const itemsOf = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? value : []);

/** @throws ConnectionError */
export function expectNumber(value: Json, name: string): number {
  const number = numberOf(value, name);
  if (number === undefined) throw new ConnectionError(`an answer without ${name}`);
  return number;
}

/** @throws ConnectionError */
export function expectInteger(value: Json): number | bigint {
  if (typeof value !== "number" && typeof value !== "bigint") throw new ConnectionError("an answer that is no number");
  return value;
}

export const bytesOf = (value: Json, name: string): Buffer => Buffer.from(textOf(value, name) ?? "", "base64");
