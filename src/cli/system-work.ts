/** What subcommands that change or look at this system have in common. */
import { type FoundOption, type OptionForm, parseCommandLine } from "../config/getopt.ts";
import { type DescribedOption, describeOptions } from "../config/help.ts";
import { AttemptsError, type Guest, ProgramError, SystemError } from "../guest.ts";
import { onOneLine } from "../log.ts";
import { print } from "./print.ts";

export const EXIT = { success: 0, failure: 1, usage: 2 } as const;

/** A command line that cannot be followed. */
export class UsageError extends Error {
  override name = "UsageError";
}

export const HELP_OPTION = {
  long: "help",
  short: "h",
  argument: "none",
  help: "print this help, and exit",
} as const satisfies DescribedOption;

/** A subcommand, as far as it differs from others. */
export interface SystemCommand<O extends DescribedOption> {
  readonly name: string;
  /** The help without the options. */
  readonly about: string;
  readonly options: readonly O[];
  /** @returns the exit code. @throws UsageError, AttemptsError, ProgramError, SystemError */
  readonly perform: (guest: Guest, given: Given<O>) => Promise<number>;
}

/** The options that were given. */
export interface Given<O extends OptionForm> {
  readonly has: (option: O) => boolean;
  readonly value: (option: O) => string | undefined;
}

const given = <O extends OptionForm>(found: readonly FoundOption<O>[]): Given<O> => ({
  has: (wanted) => found.some(({ option }) => option === wanted),
  value: (wanted) => found.findLast(({ option }) => option === wanted)?.value,
});

/** Lets the guest's loop serve children until the work is done. */
function inLoop<T>({ loop }: Guest, work: () => Promise<T>): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  // Not before the loop runs: it sleeps without a look at promises that are settled already.
  loop.soon(() => {
    work().then(resolve, reject);
    promise.then(loop.stop, loop.stop);
  });
  loop.run();
  return promise;
}

function explain(error: unknown): { readonly exitCode: number; readonly text: string } {
  if (error instanceof UsageError) return { exitCode: EXIT.usage, text: error.message };
  if (error instanceof AttemptsError || error instanceof ProgramError || error instanceof SystemError) {
    return { exitCode: EXIT.failure, text: error.message };
  }
  throw error;
}

/**
 * @param args what follows the subcommand's name
 * @returns the exit code
 */
export async function runSystemCommand<O extends DescribedOption>(
  guest: Guest,
  { name, about, options, perform }: SystemCommand<O>,
  args: readonly string[],
): Promise<number> {
  const { found, operands, error } = parseCommandLine<O | typeof HELP_OPTION>(args, [...options, HELP_OPTION]);
  if (found.some(({ option }) => option === HELP_OPTION)) {
    print(`${about}\n${describeOptions([...options, HELP_OPTION], {})}`);
    return EXIT.success;
  }
  try {
    const wrong = error ?? (operands[0] === undefined ? undefined : `unexpected argument '${operands[0]}'`);
    if (wrong !== undefined) throw new UsageError(`${wrong}; inguest ${name} --help tells more`);
    return await inLoop(guest, () => perform(guest, given<O | typeof HELP_OPTION>(found)));
  } catch (failure) {
    const { exitCode, text } = explain(failure);
    guest.logs.standardError.write(`inguest ${name}: ${onOneLine(text.trim().replace(/\s*\n\s*/g, " "))}\n`);
    return exitCode;
  }
}
