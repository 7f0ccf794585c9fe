/** What a verb of `inguest ctl` is: everything about it is declared in one object. */

import type { FoundOption } from "../../config/getopt.ts";
import type { DescribedOption } from "../../config/help.ts";
import type { Json } from "../../framing/json.ts";
import type { Client } from "../client.ts";
import { print } from "../print.ts";
import { printJson, render } from "../render.ts";

/** A command line that cannot be followed. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** A task of several commands that could not be done, in words for the user. */
export class TaskError extends Error {
  override name = "TaskError";
}

export const EXIT = {
  success: 0,
  /** The agent answered with an error, or a task failed. */
  failure: 1,
  usage: 2,
  connection: 3,
  /** A program in the guest could not be run. */
  notRun: 255,
  /** Added to the number of the signal that ended a program or this one. */
  signal: 128,
} as const;

export interface Context {
  readonly client: Client;
  /** Another conversation with the same agent, for when the first has broken off. @throws ConnectionError */
  reconnect(): Promise<Client>;
  readonly operands: readonly string[];
  /** The value of an option that was given, `""` for one without a value. */
  option(option: DescribedOption): string | undefined;
  /** Whether JSON is wanted: always when standard output is no terminal. */
  readonly json: boolean;
  /** Columns of the terminal. */
  readonly width: number;
  /** Tells a person something on standard error. */
  note(text: string): void;
  /** Aborted by the first SIGINT, SIGTERM or SIGHUP of a verb that handles them; the reason is its number. */
  readonly interrupted: AbortSignal;
  /** Calls back with the number of each of these signals. */
  onSignal(listener: (signal: number) => void): void;
}

export interface Verb {
  readonly name: string;
  /** What it does, without a full stop. */
  readonly summary: string;
  /** What the usage line shows after the name. */
  readonly operands: string;
  /** How many of them there may be. */
  readonly count: readonly [fewest: number, most: number];
  /** Paragraphs of the manual. */
  readonly details?: readonly string[];
  readonly options?: readonly DescribedOption[];
  /** Words after the first operand are not read as options. */
  readonly leadingOptions?: true;
  /** It looks at `interrupted` or `onSignal`; for others a signal is the end. */
  readonly handlesSignals?: true;
  /** What the exit code is when it could not do its work, if not the usual. */
  readonly failureCode?: number;
  /** @returns the exit code. @throws AgentError, ArgumentError, ConnectionError, TaskError, UsageError */
  run(context: Context): Promise<number>;
}

export const lastOf = (found: readonly FoundOption<DescribedOption>[], wanted: DescribedOption): string | undefined => {
  const last = found.findLast(({ option }) => option === wanted);
  return last === undefined ? undefined : (last.value ?? "");
};

/** Prints a result: as a line of JSON, or as a table of what a person wants to see of it. */
export function show({ json, width }: Pick<Context, "json" | "width">, result: Json, view: Json = result): void {
  print(json ? `${printJson(result)}\n` : render(view, width));
}
