/** `inguest ctl freeze` and `thaw`: filesystems that stand still while a command runs on the host. */
import { constants } from "node:os";
import type { Json } from "../../framing/json.ts";
import { AgentError, type Client, ConnectionError } from "../client.ts";
import { durationText } from "./units.ts";
import { type Context, EXIT, show, TaskError, UsageError, type Verb } from "./verb.ts";

const RUN = {
  long: "run",
  short: "r",
  argument: "required",
  placeholder: "COMMAND",
  help: "the command of the host's shell that runs while they are frozen",
} as const;

const MOUNTPOINTS = {
  long: "mountpoints",
  short: "m",
  argument: "required",
  placeholder: "LIST",
  help: "freeze only these, separated by commas",
} as const;

/** A hook of the guest may take ten minutes. */
const PATIENCE_MS = 11 * 60_000;
/** How long a lost agent is looked for before its filesystems are left frozen. */
const GIVE_UP_MS = 60_000;
const RETRY_MS = 1000;

const shellWords = (command: string): string[] =>
  process.platform === "win32" ? ["cmd", "/c", command] : ["sh", "-c", command];

/** Runs a command of the host with our terminal. @returns its exit code */
async function runOnHost({ onSignal, interrupted }: Context, command: string, frozen: Json): Promise<number> {
  if (interrupted.aborted) return EXIT.signal + Number(interrupted.reason);
  const child = Bun.spawn(shellWords(command), {
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
    env: { ...process.env, INGUEST_FROZEN: String(frozen) },
  });
  let signals = 0;
  onSignal((signal) => {
    // A terminal sends Ctrl-C to the command too.
    const reachesBoth = signal === constants.signals.SIGINT && process.stdin.isTTY;
    if (signals++ > 0) child.kill("SIGKILL");
    else if (!reachesBoth) child.kill(signal);
  });
  const exitCode = await child.exited;
  // Bun gives 128 and the signal's number by itself.
  return exitCode;
}

/** Thaws, over a new connection when the first one is lost. @throws AgentError, ConnectionError */
async function thawAll({ client, reconnect, note }: Context): Promise<Json> {
  const deadline = performance.now() + GIVE_UP_MS;
  let current: Client | undefined = client;
  for (;;) {
    try {
      current ??= await reconnect();
      return await current.call("guest-fsfreeze-thaw", {}, PATIENCE_MS);
    } catch (error) {
      if (!(error instanceof ConnectionError) || performance.now() > deadline) throw error;
      note(`${error.message}; trying again to thaw`);
      current = undefined;
      await Bun.sleep(RETRY_MS);
    } finally {
      if (current !== undefined && current !== client) await current.close();
    }
  }
}

async function freezeAll({ client }: Context, mountpoints: readonly string[] | undefined): Promise<Json> {
  if (mountpoints === undefined) return client.call("guest-fsfreeze-freeze", {}, PATIENCE_MS);
  return client.call("guest-fsfreeze-freeze-list", { mountpoints }, PATIENCE_MS);
}

export const freeze = {
  name: "freeze",
  summary: "freeze the filesystems of the guest while a command runs on the host",
  operands: "--run COMMAND",
  count: [0, 0],
  options: [RUN, MOUNTPOINTS],
  handlesSignals: true,
  details: [
    "They are thawed whatever happens: when the command fails, at Ctrl-C, SIGTERM or SIGHUP (which the command gets first; a second one kills it), and over a new connection when the first is lost. Only when this program is killed itself they stay frozen: see inguest --fsfreeze-timeout, and inguest ctl thaw.",
    "The exit code is that of the command, and 1 when thawing failed. The command finds the number of frozen filesystems in the environment variable INGUEST_FROZEN.",
  ],
  async run(context) {
    const command = context.option(RUN);
    if (command === undefined) throw new UsageError("option --run is needed");
    const mountpoints = context.option(MOUNTPOINTS)?.split(",");
    let frozen: Json;
    try {
      frozen = await freezeAll(context, mountpoints);
    } catch (error) {
      // Nobody knows whether it has frozen anything; an error of the agent's says that it has not.
      if (!(error instanceof AgentError)) await thawAll(context).catch(() => undefined);
      throw error;
    }
    const started = performance.now();
    context.note(`${frozen} frozen`);
    let exitCode: number;
    try {
      exitCode = await runOnHost(context, command, frozen);
    } finally {
      const thawed = await thawAll(context).catch((error: unknown) => {
        const why = error instanceof Error ? error.message : String(error);
        throw new TaskError(`THE GUEST IS STILL FROZEN: ${why}`);
      });
      context.note(`${thawed} thawed after ${durationText((performance.now() - started) / 1000)}`);
    }
    return exitCode;
  },
} as const satisfies Verb;

export const thaw = {
  name: "thaw",
  summary: "thaw the filesystems of the guest, whoever froze them",
  operands: "",
  count: [0, 0],
  async run(context) {
    const thawed = await context.client.call("guest-fsfreeze-thaw", {}, PATIENCE_MS);
    show(context, thawed, `${thawed} thawed`);
    return EXIT.success;
  },
} as const satisfies Verb;
