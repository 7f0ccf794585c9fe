/** The program without a subcommand: the agent, with the command line of qemu-ga. */
import { PathError } from "../channel/transport.ts";
import { type Config, ConfigError, dumpConfig, type Surroundings } from "../config/config.ts";
import { describeOptions } from "../config/help.ts";
import { type Invocation, readInvocation } from "../config/invocation.ts";
import { optionsFor } from "../config/options.ts";
import { supportedCommands } from "../dialect/qga/table.ts";
import { QGA_VERSION } from "../dialect/qga/version.ts";
import { AttemptsError, type Guest, SystemError } from "../guest.ts";
import { createLog, type Log } from "../log.ts";
import { startAgent } from "../start.ts";
import { checkState, isMarkedFrozen } from "../state.ts";
import { COMMIT, VERSION } from "../version.ts";
import { print } from "./print.ts";

const FAILURE = 1;

/** What goes wrong without being a fault of the program; the message says it all. */
const isExpected = (error: unknown): error is Error =>
  error instanceof ConfigError ||
  error instanceof PathError ||
  error instanceof SystemError ||
  error instanceof AttemptsError;

const surroundings = ({ paths, ports }: Guest): Surroundings => ({
  paths,
  ports: ports.defaults,
  activated: ports.activated()?.method,
});

const serviceActions = (services: Guest["services"]): string => Object.keys(services?.actions ?? {}).join(", ");

/** What stands for `{name}` in the texts of the options. */
export const optionFacts = ({ paths, ports, services }: Guest): Readonly<Record<string, unknown>> => ({
  ...paths,
  ...ports.defaults,
  settingsFiles: (paths.settingsFiles ?? ["none on this system"]).join(", "),
  serviceActions: serviceActions(services),
});

const helpText = (guest: Guest): string => `Usage: inguest [-m METHOD -p PATH] [OPTION...]
       inguest ctl --socket PATH VERB [OPERAND...]
       inguest install | uninstall | doctor | completion | man
Answers the host of this virtual machine as the QEMU guest agent ${QGA_VERSION} does.

${describeOptions(optionsFor(guest.services !== undefined), optionFacts(guest))}`;

/** Answers to everything that is not to run. */
const ANSWERS: Readonly<Record<Exclude<Invocation["kind"], "run" | "dump" | "service">, (guest: Guest) => string>> = {
  // Scripts read the release from the end of the first line.
  version: () => `QEMU Guest Agent ${QGA_VERSION}\ninguest ${VERSION} (${COMMIT})\n`,
  help: helpText,
  commands: (guest) =>
    supportedCommands(guest)
      .toReversed()
      .map(({ name }) => `${name}\n`)
      .join(""),
};

/**
 * Keeps the pid file while the agent runs in the background. Found frozen, it is not touched before the thaw, which is
 * when the log goes on.
 * @throws SystemError
 */
function keepPidFile(guest: Guest, config: Config, log: Log, frozen: boolean): { log: Log; release(): void } {
  const daemon = config.daemonize ? guest.daemon : undefined;
  if (daemon === undefined) return { log, release() {} };
  let release = (): void => {};
  const take = (): void => {
    release = daemon.lockPidFile(config.pidfile);
  };
  if (!frozen) {
    take();
    return { log, release: () => release() };
  }
  let waiting = true;
  const resume = (): void => {
    log.resume();
    if (!waiting) return;
    waiting = false;
    try {
      take();
    } catch (error) {
      if (!isExpected(error)) throw error;
      log.write("warning", error.message);
    }
  };
  return { log: { ...log, resume }, release: () => release() };
}

/** @throws ConfigError, PathError, SystemError */
function serve(guest: Guest, config: Config): number {
  const daemon = config.daemonize ? guest.daemon : undefined;
  if (daemon !== undefined) {
    const exitCode = daemon.detach();
    if (exitCode !== undefined) return exitCode;
  }
  const frozen = isMarkedFrozen(guest, config.statedir);
  const plainLog = createLog(guest, config, frozen);
  if (!frozen) checkState(guest, config.statedir);
  const { log, release } = keepPidFile(guest, config, plainLog, frozen);
  let alone = false;
  try {
    log.write("debug", `inguest ${VERSION} (${COMMIT}) started`);
    return startAgent(guest, config, log, () => {
      guest.supervisor?.ready();
      if (daemon === undefined) return;
      daemon.settle();
      alone = true;
    });
  } catch (error) {
    // In the background standard error leads nowhere.
    if (alone) log.write("critical", error instanceof Error ? (error.stack ?? error.message) : String(error));
    throw error;
  } finally {
    release();
  }
}

/** @throws ConfigError, SystemError, AttemptsError */
function doServiceAction({ services }: Guest, action: string, args: readonly string[]): string {
  const actions = services?.actions ?? {};
  const wanted = Object.hasOwn(actions, action) ? actions[action] : undefined;
  if (wanted === undefined) throw new ConfigError(`unknown service command '${action}': ${serviceActions(services)}`);
  return `${wanted(args)}\n`;
}

/**
 * @param args what follows the program's name
 * @returns the exit code
 */
export function runAgent(guest: Guest, args: readonly string[]): number {
  try {
    const options = optionsFor(guest.services !== undefined);
    const invocation = readInvocation(args, process.env, guest.files, () => surroundings(guest), options);
    if (invocation.kind === "run") return serve(guest, invocation.config);
    if (invocation.kind === "service") {
      print(doServiceAction(guest, invocation.action, invocation.args));
      return 0;
    }
    print(invocation.kind === "dump" ? dumpConfig(invocation.config) : ANSWERS[invocation.kind](guest));
    return 0;
  } catch (error) {
    if (!isExpected(error)) throw error;
    guest.logs.standardError.write(`inguest: ${error.message}\n`);
    return FAILURE;
  }
}
