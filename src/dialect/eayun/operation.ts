/** What an EayunStack host can ask for: everything about an operation is declared in one object. */
import type * as v from "valibot";
import type { Agent } from "../../agent.ts";
import type { MemorySample } from "../../capability/memory-sample.ts";
import { RequestError } from "../../errors.ts";
import type { JsonObject, Writable } from "../../framing/json.ts";

export type ErrorClass =
  | "ParseError"
  | "UnknownOperation"
  | "UnknownName"
  | "InvalidArgument"
  | "NotAllowed"
  | "TimedOut"
  | "Unsupported"
  | "GenericError";

/** An error that is sent to the host as it is. */
export class EayunError extends RequestError {
  override name = "EayunError";

  constructor(
    readonly errorClass: ErrorClass,
    description: string,
  ) {
    super(description);
  }
}

export interface Context {
  readonly agent: Agent;
  readonly sampleMemory: () => MemorySample;
}

export interface Operation<A extends v.ObjectEntries = v.ObjectEntries> {
  readonly name: string;
  /** One sentence for the reference. */
  readonly summary: string;
  /** Other members are passed over. */
  readonly arguments: A;
  /** It touches no disk and runs no program. */
  readonly allowedWhenFrozen?: true;
  /** @returns the members that follow `operation` in the reply. @throws EayunError, SystemError */
  run(
    values: v.InferOutput<v.ObjectSchema<A, undefined>>,
    context: Context,
    given: JsonObject,
  ): { readonly [member: string]: Writable } | Promise<{ readonly [member: string]: Writable }>;
}

/** Declares an operation; it only binds the types together. */
export const operation = <const A extends v.ObjectEntries>(declared: Operation<A>) => declared;
