/** What an oVirt host can ask for: everything about a command is declared in one object. */
import type * as v from "valibot";
import type { Agent } from "../../agent.ts";
import type { JsonObject } from "../../framing/json.ts";
import type { ApiVersion, Content, Message } from "./message.ts";

/** The conversation with a host, as its commands see it. */
export interface Conversation {
  readonly agent: Agent;
  apiVersion: ApiVersion;
  say<C extends Content, Input>(message: Message<C, Input>, input: Input): void;
  /** Sends everything again, soon. */
  refresh(): void;
}

export interface OvirtCommand<A extends v.ObjectEntries = v.ObjectEntries> {
  readonly name: string;
  /** One sentence for the reference. */
  readonly summary: string;
  /** Other members are passed over, as hosts may be newer. */
  readonly arguments: A;
  /** It touches no disk and runs no program. */
  readonly allowedWhenFrozen?: true;
  /** What it throws goes to the log: this dialect has no errors on the wire. */
  run(
    values: v.InferOutput<v.ObjectSchema<A, undefined>>,
    conversation: Conversation,
    given: JsonObject,
  ): void | Promise<void>;
}

/** Declares a command; it only binds the types together. */
export const ovirtCommand = <const A extends v.ObjectEntries>(declared: OvirtCommand<A>) => declared;
