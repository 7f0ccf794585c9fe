/** What a command of the QGA framing is: everything about it is declared in one object. */
import type * as v from "valibot";
import type { Agent } from "../../agent.ts";
import type { Body } from "../../channel/body.ts";
import type { LongString } from "../../framing/json-stream.ts";
import type { Guest } from "../../guest.ts";

/** Members by name: `{ handle: int64, count: optional(int64) }`. */
export type Arguments = v.ObjectEntries;

/** What the handler gets: one member for each argument. */
export type ArgumentValues<A extends Arguments> = v.InferOutput<v.StrictObjectSchema<A, string>>;

export interface Command<
  A extends Arguments = Arguments,
  R extends v.GenericSchema = v.GenericSchema,
  L extends LongString = LongString,
> {
  readonly name: string;
  /** The QEMU version that brought it; for bclinux the name of the dialect. */
  readonly since: string;
  /** One sentence for the reference. */
  readonly summary: string;
  readonly arguments: A;
  /** What it returns: checked by tests and shown in the reference, not at run time. */
  readonly returns: R;
  /** False for commands that answer only when they fail (shutdown, suspend). */
  readonly successResponse?: false;
  /** The reply is led by a 0xFF byte. */
  readonly delimited?: true;
  /**
   * One string argument that can be taken while it arrives, when those of `needs` came before it. `begin` throws
   * when it cannot: the string then is kept in memory and `run` reports why.
   */
  readonly streamed?: {
    readonly member: string;
    readonly needs: readonly string[];
    begin(before: Readonly<Record<string, number | bigint>>, agent: Agent): L | undefined;
  };
  /** Among the few that may run while filesystems are frozen. */
  readonly allowedWhenFrozen?: true;
  /** False where the guest cannot do it: the command then is not known at all, as with qemu-ga. */
  readonly supported?: (guest: Guest) => boolean;
  /** Throws QgaError or SystemError. A `Body` is a reply that is written in slices as it is made. */
  run(values: ArgumentValues<A>, agent: Agent, long?: L): Reply<v.InferOutput<R>>;
}

/** What a handler gives back. */
export type Reply<T> = T | Promise<T> | Body;

/** Declares a command; it only binds the types together. */
export const command = <const A extends Arguments, const R extends v.GenericSchema, L extends LongString = LongString>(
  declared: Command<A, R, L>,
) => declared;
