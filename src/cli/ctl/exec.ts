/**
 * `inguest ctl exec`: a program in the guest.
 *
 * The protocol gives a program's output only when it has ended. Where the guest has a shell, the output goes to files of
 * a directory of its own, which are read while they grow.
 */

import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { AgentError, type Client } from "../client.ts";
import { writeFully } from "../print.ts";
import { type Handle, openFile, readToEnd } from "./guest-files.ts";
import { createPatience, type Ended, type GuestProgram, programStatus, runScript, startProgram } from "./programs.ts";
import { type Context, EXIT, TaskError, type Verb } from "./verb.ts";

const STANDARD_INPUT = 0;
const STANDARD_OUTPUT = 1;
const STANDARD_ERROR = 2;

const INPUT = {
  long: "stdin",
  short: "i",
  argument: "none",
  help: "give it our standard input, read to its end before",
} as const;

const WHOLE = {
  long: "no-stream",
  argument: "none",
  help: "leave no file in the guest: the output comes when it has ended, 16 MiB of it at most",
} as const;

/** The code of the script below when it could not begin; nothing was run then. */
const NOT_BEGUN = 125;

const REDIRECT = `
d=$1; shift
(umask 077; mkdir -- "$d" && : >"$d/out" && : >"$d/err") 2>/dev/null || exit ${NOT_BEGUN}
exec "$@" >"$d/out" 2>"$d/err"
`;

/** In the order in which they are tried: memory before disks. */
const PLACES = ["/dev/shm", "/run", "/tmp", "/var/tmp"] as const;

const exitCodeOf = ({ exitCode, signal }: Ended): number =>
  signal === undefined ? (exitCode ?? EXIT.notRun) : EXIT.signal + signal;

/** Hands on to the program what ends this one. The second signal kills it. */
function passSignals({ client, onSignal }: Context, pid: number): void {
  let signals = 0;
  onSignal((signal) => {
    const wanted = signals++ === 0 ? signal : constants.signals.SIGKILL;
    runScript(client, 'kill -"$1" "$2"', [String(wanted), String(pid)]).catch(() => undefined);
  });
}

/** Follows a file that grows. @returns whether there was anything new */
function createTail(client: Client, path: string, descriptor: number) {
  let handle: Handle | undefined;
  const never = new AbortController().signal;
  const forward = async (): Promise<boolean> => {
    if (handle === undefined) return false;
    let grown = false;
    const sink = (bytes: Buffer): void => {
      grown = true;
      writeFully(descriptor, bytes);
    };
    await readToEnd(client, handle, sink, never);
    return grown;
  };
  return {
    forward,
    /** @returns false when the file is not there */
    async open(): Promise<boolean> {
      try {
        handle ??= await openFile(client, path, "r");
        return true;
      } catch (error) {
        if (error instanceof AgentError) return false;
        throw error;
      }
    },
    async close(): Promise<void> {
      if (handle !== undefined) await client.call("guest-file-close", { handle });
    },
  };
}

/** @returns undefined when it was not run, because there is no place for its output */
async function follow(context: Context, pid: number, folder: string): Promise<number | undefined> {
  const { client } = context;
  const tails = [
    createTail(client, `${folder}/out`, STANDARD_OUTPUT),
    createTail(client, `${folder}/err`, STANDARD_ERROR),
  ];
  let wait = createPatience();
  let begun = false;
  try {
    for (;;) {
      const ended = await programStatus(client, pid);
      if (!begun) {
        const opened = await Promise.all(tails.map((tail) => tail.open()));
        begun = opened.every(Boolean);
      }
      let grown = false;
      for (const tail of tails) if (await tail.forward()) grown = true;
      if (ended !== undefined) return !begun && ended.exitCode === NOT_BEGUN ? undefined : exitCodeOf(ended);
      if (grown) wait = createPatience();
      await wait();
    }
  } finally {
    for (const tail of tails) await tail.close();
  }
}

/** Runs it with its output in files. @returns undefined when it was not run */
async function stream(context: Context, { path, args, input }: GuestProgram): Promise<number | undefined> {
  const { client } = context;
  for (const place of PLACES) {
    const folder = `${place}/inguest-${crypto.randomUUID()}`;
    const redirected = { path: "sh", args: ["-c", REDIRECT, "sh", folder, path, ...args], input };
    const pid = await startProgram(client, redirected, false).catch((error: unknown) => {
      if (!(error instanceof AgentError)) throw error;
    });
    if (pid === undefined) return undefined;
    passSignals(context, pid);
    try {
      const exitCode = await follow(context, pid, folder);
      if (exitCode !== undefined) return exitCode;
    } finally {
      await runScript(client, 'rm -rf -- "$1"', [folder]);
    }
  }
  return undefined;
}

async function runWhole(context: Context, program: GuestProgram): Promise<number> {
  const { client, note } = context;
  const pid = await startProgram(client, program, true);
  passSignals(context, pid);
  const wait = createPatience();
  for (;;) {
    const ended = await programStatus(client, pid);
    if (ended === undefined) {
      await wait();
      continue;
    }
    writeFully(STANDARD_OUTPUT, ended.stdout);
    writeFully(STANDARD_ERROR, ended.stderr);
    if (ended.truncated) note("only the beginning of the output was kept by the agent");
    return exitCodeOf(ended);
  }
}

export const exec = {
  name: "exec",
  summary: "run a program in the guest",
  operands: "[--] PROGRAM [ARGUMENT...]",
  count: [1, Infinity],
  options: [INPUT, WHOLE],
  leadingOptions: true,
  handlesSignals: true,
  failureCode: EXIT.notRun,
  details: [
    "Its output is shown while it runs, and its exit code becomes ours; 128 and the number of the signal when a signal ended it, and 255 when it could not be run. Ctrl-C, SIGTERM and SIGHUP are passed on to it; a second one kills it. There is no shell and no terminal: for pipes and wildcards run sh -c 'COMMAND'.",
    "An agent gives output only when a program has ended. To have it earlier it is kept in files of a new directory in /dev/shm, /run or /tmp of the guest, which is removed at the end. Guests without a POSIX shell, and --no-stream, get the output at the end.",
  ],
  async run(context) {
    const [path = "", ...args] = context.operands;
    const input = context.option(INPUT) === undefined ? undefined : readFileSync(STANDARD_INPUT);
    if (input !== undefined && input.byteLength > context.client.limits.write) {
      throw new TaskError(`standard input is too long: ${context.client.limits.write} bytes at most`);
    }
    const program = { path, args, input };
    const streamed = context.option(WHOLE) === undefined ? await stream(context, program) : undefined;
    return streamed ?? runWhole(context, program);
  },
} as const satisfies Verb;
