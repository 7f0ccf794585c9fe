/** `inguest ctl`: the host's side. It runs in a process of its own, so that Bun's event loop may serve it. */
import { isatty } from "node:tty";
import { type FoundOption, parseCommandLine } from "../config/getopt.ts";
import { describeOptions } from "../config/help.ts";
import { QGA_COMMANDS } from "../dialect/qga/table.ts";
import type { Guest } from "../guest.ts";
import { onOneLine } from "../log.ts";
import { ArgumentError, readArguments } from "./arguments.ts";
import { AgentError, ConnectionError, connectClient } from "./client.ts";
import { CTL_OPTIONS } from "./ctl-options.ts";
import { print } from "./print.ts";
import { printJson, render } from "./render.ts";

const EXIT = { success: 0, agentError: 1, usage: 2, connection: 3 } as const;

const DEFAULT_TIMEOUT_S = 10;
const DEFAULT_WIDTH = 80;
const STANDARD_OUTPUT = 1;

/** A command line that cannot be followed. */
class UsageError extends Error {
  override name = "UsageError";
}

const HELP = `Usage: inguest ctl --socket PATH [OPTION...] COMMAND [KEY=VALUE...]
Sends a command to a guest agent, inguest or qemu-ga, and prints what it returns:
a table on a terminal, a line of JSON otherwise.

A value is a number, true, false or JSON when it looks like one, and a text
otherwise or when the command wants one. A KEY given several times makes a list:
  inguest ctl -s /run/vm.sock guest-exec path=ls arg=-l arg=/ capture-output=true

${describeOptions(Object.values(CTL_OPTIONS), { timeout: String(DEFAULT_TIMEOUT_S) })}
Exit status: ${EXIT.success} done, ${EXIT.agentError} the agent answered with an error, ${EXIT.usage} wrong command line, ${EXIT.connection} no answer.
`;

type CtlOption = (typeof CTL_OPTIONS)[keyof typeof CTL_OPTIONS];

interface Request {
  readonly socket: string;
  /** Milliseconds. */
  readonly timeout: number;
  readonly json: boolean;
  readonly command: string;
  readonly words: readonly string[];
}

function readTimeout(text: string | undefined): number {
  if (text === undefined) return DEFAULT_TIMEOUT_S * 1000;
  if (!/^\d{1,9}(\.\d+)?$/.test(text)) throw new UsageError(`option --timeout: '${text}' is not a number of seconds`);
  return Number(text) === 0 ? Infinity : Number(text) * 1000;
}

/** @throws UsageError */
function readRequest(found: readonly FoundOption<CtlOption>[], operands: readonly string[]): Request {
  const last = (wanted: CtlOption): string | undefined => found.findLast(({ option }) => option === wanted)?.value;
  const [command, ...words] = operands;
  const socket = last(CTL_OPTIONS.socket);
  if (socket === undefined) throw new UsageError("option --socket is needed");
  if (command === undefined) throw new UsageError("a command is needed, guest-info lists them");
  const json = found.some(({ option }) => option === CTL_OPTIONS.json);
  return { socket, timeout: readTimeout(last(CTL_OPTIONS.timeout)), json, command, words };
}

/** @returns what is to be printed. @throws AgentError, ArgumentError, ConnectionError */
async function perform({ socket, timeout, json, command, words }: Request): Promise<string> {
  const known = QGA_COMMANDS.find(({ name }) => name === command);
  const values = readArguments(words, known);
  const client = await connectClient(socket, timeout);
  try {
    await client.sync();
    if (known?.successResponse === false) {
      await client.callSilent(command, values);
      return "";
    }
    const result = await client.call(command, values);
    if (json || !isatty(STANDARD_OUTPUT)) return `${printJson(result)}\n`;
    return render(result, process.stdout.columns || DEFAULT_WIDTH);
  } finally {
    client.close();
  }
}

/** Exit codes and prefixes by what went wrong. */
function explain(error: unknown, command: string): { readonly exitCode: number; readonly text: string } {
  if (error instanceof AgentError) return { exitCode: EXIT.agentError, text: `${command}: ${error.message.trimEnd()}` };
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
export async function ctl({ logs }: Pick<Guest, "logs">, args: readonly string[]): Promise<number> {
  const { found, operands, error } = parseCommandLine<CtlOption>(args, Object.values(CTL_OPTIONS));
  if (found.some(({ option }) => option === CTL_OPTIONS.help)) {
    print(HELP);
    return EXIT.success;
  }
  try {
    if (error !== undefined) throw new UsageError(error);
    print(await perform(readRequest(found, operands)));
    return EXIT.success;
  } catch (failure) {
    const { exitCode, text } = explain(failure, operands[0] ?? "");
    logs.standardError.write(`inguest ctl: ${onOneLine(text)}\n`);
    return exitCode;
  }
}
