/** What the agent tells an oVirt host: everything about a message is declared in one object. */
import * as v from "valibot";
import type { MemorySample } from "../../capability/memory-sample.ts";
import type { Guest } from "../../guest.ts";
import type { Rate, Settings } from "./settings.ts";

/** The API version that this agent speaks at most. */
export const API_VERSION = 3;

export type ApiVersion = 0 | 1 | 2 | typeof API_VERSION;

/** What messages are made from. */
export interface Facts {
  readonly guest: Guest;
  readonly settings: Settings;
  readonly sampleMemory: () => MemorySample;
  /** Whether the host has had a heartbeat. */
  readonly introduced: boolean;
}

/** Members by their names on the wire. */
export type Content = v.ObjectEntries;

export interface Message<C extends Content = Content, Input = undefined> {
  readonly name: string;
  /** Hosts of an older API version do not get it. */
  readonly version: ApiVersion;
  /** One sentence for the reference. */
  readonly summary: string;
  /** Checked by tests and shown in the reference, not at run time. */
  readonly content: C;
  /** Sent when the agent starts. */
  readonly atStart?: true;
  /** Sent when the host asks for everything. */
  readonly onRefresh?: true;
  /** Sent again after as many seconds as this setting says. */
  readonly rate?: Rate;
  /** On its rate it is only sent when it has changed. */
  readonly onlyChanges?: true;
  make(
    facts: Facts,
    input: Input,
  ): v.InferOutput<v.ObjectSchema<C, undefined>> | Promise<v.InferOutput<v.ObjectSchema<C, undefined>>>;
}

/** Declares a message; it only binds the types together. */
export const message = <const C extends Content, Input = undefined>(declared: Message<C, Input>) => declared;

export const text = v.string();
export const integer = v.pipe(v.number(), v.integer());
/** A number of bytes. */
export const size = v.union([v.bigint(), integer]);
export const texts = v.array(text);
