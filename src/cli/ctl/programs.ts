/** Programs that are run in the guest by guest-exec. */
import type { Json } from "../../framing/json.ts";
import { AgentError, type Client } from "../client.ts";
import { bytesOf, expectNumber, isTrue, numberOf } from "./reply.ts";

export interface GuestProgram {
  readonly path: string;
  readonly args: readonly string[];
  readonly input?: Uint8Array | undefined;
}

export interface Ended {
  readonly exitCode: number | undefined;
  readonly signal: number | undefined;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** More was printed than an agent keeps. */
  readonly truncated: boolean;
}

const FIRST_WAIT_MS = 2;
const LONGEST_WAIT_MS = 200;

/** Longer and longer, so that what is over soon is seen soon. */
export function createPatience(): () => Promise<void> {
  let wait = FIRST_WAIT_MS;
  return async () => {
    await Bun.sleep(wait);
    wait = Math.min(wait * 1.5, LONGEST_WAIT_MS);
  };
}

/** Starts it. @returns its process id. @throws AgentError, ConnectionError */
export async function startProgram(client: Client, program: GuestProgram, capture: boolean): Promise<number> {
  const { path, args, input } = program;
  const started = await client.call("guest-exec", {
    path,
    arg: args,
    "input-data": input === undefined ? undefined : Buffer.from(input).toString("base64"),
    "capture-output": capture,
  });
  return expectNumber(started, "pid");
}

/** How a program has ended; undefined while it runs. @throws AgentError, ConnectionError */
export async function programStatus(client: Client, pid: number): Promise<Ended | undefined> {
  const status: Json = await client.call("guest-exec-status", { pid });
  if (!isTrue(status, "exited")) return undefined;
  return {
    exitCode: numberOf(status, "exitcode"),
    signal: numberOf(status, "signal"),
    stdout: bytesOf(status, "out-data"),
    stderr: bytesOf(status, "err-data"),
    truncated: isTrue(status, "out-truncated") || isTrue(status, "err-truncated"),
  };
}

/** Runs it to its end. @throws AgentError, ConnectionError */
export async function runInGuest(client: Client, program: GuestProgram): Promise<Ended> {
  const pid = await startProgram(client, program, true);
  const wait = createPatience();
  for (;;) {
    const ended = await programStatus(client, pid);
    if (ended !== undefined) return ended;
    await wait();
  }
}

/**
 * Runs a script of the POSIX shell.
 * @param args what `$1` and so on are
 * @returns undefined when there is no shell, or guest-exec is not allowed
 * @throws ConnectionError
 */
export async function runScript(
  client: Client,
  script: string,
  args: readonly string[],
  input?: Uint8Array,
): Promise<Ended | undefined> {
  try {
    return await runInGuest(client, { path: "sh", args: ["-c", script, "sh", ...args], input });
  } catch (error) {
    if (error instanceof AgentError) return undefined;
    throw error;
  }
}
