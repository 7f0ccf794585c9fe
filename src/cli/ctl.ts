/** `inguest ctl`: the host's side. It runs in a process of its own, so that Bun's event loop may serve it. */
import { constants } from "node:os";
import { isatty } from "node:tty";
import { type FoundOption, parseCommandLine } from "../config/getopt.ts";
import { type DescribedOption, describeOptions } from "../config/help.ts";
import type { Guest } from "../guest.ts";
import { onOneLine } from "../log.ts";
import { ArgumentError } from "./arguments.ts";
import { AgentError, type Client, ConnectionError } from "./client.ts";
import { commandVerb } from "./ctl/command.ts";
import { Interrupted } from "./ctl/guest-files.ts";
import { VERBS } from "./ctl/table.ts";
import { type Connect, readTarget } from "./ctl/target.ts";
import { type Context, EXIT, lastOf, TaskError, UsageError, type Verb } from "./ctl/verb.ts";
import { CTL_OPTIONS, DEFAULT_TIMEOUT_S } from "./ctl-options.ts";
import { print } from "./print.ts";

const DEFAULT_WIDTH = 80;
const STANDARD_OUTPUT = 1;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** This many signals end the program at once. */
const IMPATIENT = 3;

const facts = { timeout: String(DEFAULT_TIMEOUT_S) };

const verbLines = (): string => {
  const width = Math.max(...VERBS.map(({ name }) => name.length));
  return VERBS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}\n`).join("");
};

const help = (): string => `Usage: inguest ctl --socket PATH | --libvirt DOMAIN | ... [OPTION...] VERB [OPERAND...]
       inguest ctl --socket PATH | --libvirt DOMAIN | ... [OPTION...] COMMAND [KEY=VALUE...]
Does something with a guest by its agent, inguest or qemu-ga. Prints tables on a terminal and JSON otherwise.

Verbs; 'inguest ctl VERB --help' tells more:
${verbLines()}
Every other word is a command of the agent. A value is a number, true, false or JSON when it looks like one, and a
text otherwise or when the command wants one. A KEY given several times makes a list:
  inguest ctl -s /run/vm.sock guest-exec path=ls arg=-l arg=/ capture-output=true

${describeOptions(Object.values(CTL_OPTIONS), facts)}
Exit status: ${EXIT.success} done, ${EXIT.failure} the agent answered with an error, ${EXIT.usage} wrong command line, ${EXIT.connection} no answer.
`;

function verbHelp({ name, summary, operands, options = [], details = [] }: Verb): string {
  const usage = `Usage: inguest ctl TARGET [OPTION...] ${name} ${operands}`.trimEnd();
  const own = options.length === 0 ? "" : `\n${describeOptions(options, facts)}`;
  const paragraphs = details.map((text) => `\n${text}\n`).join("");
  return `${usage}\n${summary.charAt(0).toUpperCase()}${summary.slice(1)}.\n${own}${paragraphs}\nOptions of all verbs:\n${describeOptions(Object.values(CTL_OPTIONS), facts)}`;
}

type Found = readonly FoundOption<DescribedOption>[];

interface Task {
  readonly verb: Verb;
  readonly operands: readonly string[];
  readonly found: Found;
  readonly connect: Connect;
  /** Milliseconds. */
  readonly timeout: number;
}

/** @throws UsageError */
function readTimeout(found: Found): number {
  const text = lastOf(found, CTL_OPTIONS.timeout);
  if (text === undefined) return DEFAULT_TIMEOUT_S * 1000;
  if (!/^\d{1,9}(\.\d+)?$/.test(text)) throw new UsageError(`option --timeout: '${text}' is not a number of seconds`);
  return Number(text) === 0 ? Infinity : Number(text) * 1000;
}

/** What the command line asks for; a text is all that it asks for. @throws UsageError */
function readTask(args: readonly string[], host: Pick<Guest, "hostLines">): Task | string {
  const common: readonly DescribedOption[] = Object.values(CTL_OPTIONS);
  const before = parseCommandLine(args, common, "leading");
  const wantsHelp = (found: Found): boolean => lastOf(found, CTL_OPTIONS.help) !== undefined;
  if (wantsHelp(before.found)) return help();
  if (before.error !== undefined) throw new UsageError(before.error);
  const [word, ...rest] = before.operands;
  if (word === undefined) throw new UsageError("a verb or a command is needed");

  const verb = VERBS.find(({ name }) => name === word) ?? commandVerb(word);
  const own = [...common, ...(verb.options ?? [])];
  const after = parseCommandLine(rest, own, verb.leadingOptions ? "leading" : "anywhere");
  if (wantsHelp(after.found)) return verbHelp(verb);
  if (after.error !== undefined) throw new UsageError(after.error);
  const { operands } = after;
  const [fewest, most] = verb.count;
  if (operands.length < fewest || operands.length > most) {
    throw new UsageError(verb.operands === "" ? `${word} takes no operand` : `${word} takes ${verb.operands}`);
  }
  const found = [...before.found, ...after.found];
  return { verb, operands, found, connect: readTarget(found, host), timeout: readTimeout(found) };
}

/** Collects signals that would end this program. @param names none to let them do so */
function catchSignals(names: readonly (typeof SIGNALS)[number][]): Pick<Context, "interrupted" | "onSignal"> {
  const first = new AbortController();
  const listeners: ((signal: number) => void)[] = [];
  let seen = 0;
  for (const name of names) {
    process.on(name, () => {
      const signal = constants.signals[name];
      if (++seen >= IMPATIENT) process.exit(EXIT.signal + signal);
      if (seen === 1) first.abort(signal);
      for (const listener of listeners) listener(signal);
    });
  }
  return {
    interrupted: first.signal,
    onSignal: (listener) => {
      listeners.push(listener);
    },
  };
}

/** @returns the exit code. @throws what the verb throws */
async function perform({ verb, operands, found, connect, timeout }: Task, note: Context["note"]): Promise<number> {
  const open = async (): Promise<Client> => {
    const client = await connect(timeout);
    await client.sync();
    return client;
  };
  const client = await connect(timeout);
  try {
    await client.sync();
    return await verb.run({
      client,
      reconnect: open,
      operands,
      option: (wanted) => lastOf(found, wanted),
      json: lastOf(found, CTL_OPTIONS.json) !== undefined || !isatty(STANDARD_OUTPUT),
      width: process.stdout.columns || DEFAULT_WIDTH,
      note,
      ...catchSignals(verb.handlesSignals ? SIGNALS : []),
    });
  } finally {
    await client.close();
  }
}

/** Exit codes and texts by what went wrong. */
function explain(error: unknown, word: string): { readonly exitCode: number; readonly text: string } {
  if (error instanceof AgentError) return { exitCode: EXIT.failure, text: `${word}: ${error.message.trimEnd()}` };
  if (error instanceof TaskError) return { exitCode: EXIT.failure, text: `${word}: ${error.message}` };
  if (error instanceof Interrupted) {
    return { exitCode: EXIT.signal + error.signal, text: `${word}: interrupted; the same command goes on from there` };
  }
  // A file of the host.
  if (error instanceof Error && "syscall" in error)
    return { exitCode: EXIT.failure, text: `${word}: ${error.message}` };
  if (error instanceof ConnectionError) return { exitCode: EXIT.connection, text: error.message };
  if (error instanceof UsageError || error instanceof ArgumentError) {
    return { exitCode: EXIT.usage, text: `${error.message}; inguest ctl --help tells more` };
  }
  throw error;
}

/**
 * @param args what follows `ctl`
 * @returns the exit code
 */
export async function ctl(host: Pick<Guest, "logs" | "hostLines">, args: readonly string[]): Promise<number> {
  const note = (text: string): void => host.logs.standardError.write(`inguest ctl: ${onOneLine(text)}\n`);
  let verb: Verb | undefined;
  try {
    const task = readTask(args, host);
    if (typeof task === "string") {
      print(task);
      return EXIT.success;
    }
    ({ verb } = task);
    return await perform(task, note);
  } catch (failure) {
    const { exitCode, text } = explain(failure, verb?.name ?? "");
    note(text);
    return exitCode === EXIT.usage ? exitCode : (verb?.failureCode ?? exitCode);
  }
}
