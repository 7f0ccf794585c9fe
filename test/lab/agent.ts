/** Running a guest agent on a unix socket of this machine: ours or the real one, which take the same options. */

import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { dieWithParent, usualFileLimit, waitFor } from "./process.ts";

/** Options of {@link startAgent}. */
export interface AgentOptions {
  /** Where the agent listens (method unix-listen). */
  socketPath: string;
  /** Its folder for state, created if missing. */
  stateDir: string;
  /** More options of qemu-ga. */
  args?: readonly string[];
  env?: Record<string, string>;
  /** Its working directory. */
  cwd?: string;
}

/** A running agent. */
export interface RunningAgent {
  pid: number;
  /** Both output streams so far. */
  log(): Promise<string>;
  /** SIGTERM, then SIGKILL after two seconds; resolves to the exit code when it is gone. */
  stop(): Promise<number>;
  /** Resolves to the exit code when it is gone, for whatever reason. */
  ended: Promise<number>;
}

/**
 * The words that run our agent: the executable that `INGUEST_EXECUTABLE` names, else the sources.
 */
export const inguestCommand: readonly string[] =
  process.env.INGUEST_EXECUTABLE === undefined
    ? [process.execPath, resolve(import.meta.dir, "../../platform/linux/main.ts")]
    : [resolve(process.env.INGUEST_EXECUTABLE)];

/**
 * Starts an agent on a unix socket of this machine and waits until it listens.
 * It acts on this machine: leave out what would shut it down, freeze it or change its users.
 * @param command the words of the command line before the agent's own options
 */
export async function startAgent(command: readonly string[], options: AgentOptions): Promise<RunningAgent> {
  const { socketPath, stateDir, args = [], env, cwd } = options;
  const name = command.at(-1) ?? "";
  await mkdir(stateDir, { recursive: true });
  await rm(socketPath, { force: true });
  const logPath = join(stateDir, "agent.log");
  const own = ["-m", "unix-listen", "-p", socketPath, "-t", stateDir, "-f", join(stateDir, "agent.pid")];
  const child = Bun.spawn([...usualFileLimit, ...dieWithParent, ...command, ...own, ...args], {
    stdin: "ignore",
    stdout: Bun.file(logPath),
    stderr: Bun.file(logPath),
    env: { ...process.env, ...env },
    ...(cwd === undefined ? {} : { cwd }),
  });
  const log = async (): Promise<string> => ((await Bun.file(logPath).exists()) ? Bun.file(logPath).text() : "");
  const stop = async (): Promise<number> => {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 2_000);
    const code = await child.exited;
    clearTimeout(timer);
    return code;
  };
  try {
    await waitFor(
      async () => {
        if (child.exitCode !== null) throw new Error(`${name} exited with ${child.exitCode}: ${await log()}`);
        return existsSync(socketPath) ? true : undefined;
      },
      5_000,
      async () => `${name} made no socket at ${socketPath}: ${await log()}`,
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { pid: child.pid, log, stop, ended: child.exited };
}
