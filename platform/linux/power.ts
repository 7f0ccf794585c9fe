/** Going down and going to sleep, in an orderly way as long as the guest has one. */
import { existsSync } from "node:fs";
import { AttemptsError, type Power, ProgramError, runProgram, SystemError } from "../../src/guest.ts";
import { check, cstring, libc } from "./libc.ts";
import { loop } from "./loop.ts";
import { processes } from "./processes.ts";
import { findProgram, programBehind } from "./programs.ts";
import { readText } from "./sysfs.ts";

type ShutdownMode = Parameters<Power["shutdown"]>[0];
type SuspendMode = Parameters<Power["suspend"]>[0];

/** What a guest has to shut it down with. */
export interface ShutdownMeans {
  readonly find: typeof findProgram;
  readonly behind: typeof programBehind;
  readonly exists: (path: string) => boolean;
  /** Whether the first process does something when it gets this signal. */
  readonly initHeeds: (signal: number) => boolean;
}

/** A program that shuts down; `waits` when it counts the minutes itself. */
export interface ShutdownWay {
  readonly argv: readonly string[];
  readonly waits: boolean;
}

/** Each mode in the words of shutdown(8) of systemd and SysV, of openrc-shutdown(8), and as a program of its own. */
const SHUTDOWN: Readonly<
  Record<
    ShutdownMode,
    { readonly flag: string; readonly openrc: string; readonly program: string; readonly signal: number }
  >
> = {
  powerdown: { flag: "-P", openrc: "-p", program: "poweroff", signal: 12 },
  reboot: { flag: "-r", openrc: "-r", program: "reboot", signal: 15 },
  halt: { flag: "-H", openrc: "-H", program: "halt", signal: 10 },
};

/** The levels of runit-init(8), which tells off from reboot only. */
const RUNIT_LEVEL: Readonly<Record<ShutdownMode, string>> = { powerdown: "0", reboot: "6", halt: "0" };

/** sd_booted(3) */
const SYSTEMD = "/run/systemd/system";
/** The pipe on which openrc-init(8) takes orders. */
const OPENRC = "/run/openrc/init.ctl";

/**
 * The programs that can shut this guest down, the best one first. One that belongs to an init that is not running here
 * would do nothing, or fail.
 */
export function shutdownWays(
  mode: ShutdownMode,
  message: string,
  minutes: number,
  { find, behind, exists, initHeeds }: ShutdownMeans,
): ShutdownWay[] {
  const { flag, openrc, program, signal } = SHUTDOWN[mode];
  const ways: ShutdownWay[] = [];
  const systemd = exists(SYSTEMD);
  const belongs = (file: string, others: readonly string[]): boolean =>
    (systemd || behind(file) !== "systemctl") && !others.includes(behind(file));

  // What runit's packages have as shutdown(8) takes other words in each distribution.
  const init = systemd ? undefined : find("/sbin/init");
  if (init !== undefined && behind(init) === "runit-init") {
    ways.push({ argv: [init, RUNIT_LEVEL[mode]], waits: false });
  }
  const shutdown = find("/sbin/shutdown", "shutdown");
  if (shutdown !== undefined && belongs(shutdown, ["busybox", "openrc-shutdown"])) {
    // Only that of systemd comes back before the minutes are over.
    const waits = behind(shutdown) === "systemctl";
    ways.push({ argv: [shutdown, "-h", flag, `+${waits ? minutes : 0}`, message], waits });
  }
  const systemctl = systemd ? find("systemctl") : undefined;
  if (systemctl !== undefined) ways.push({ argv: [systemctl, program], waits: false });
  const openrcShutdown = exists(OPENRC) ? find("openrc-shutdown") : undefined;
  if (openrcShutdown !== undefined) ways.push({ argv: [openrcShutdown, openrc, "now"], waits: false });
  const own = find(program);
  if (own !== undefined && belongs(own, ["busybox"])) ways.push({ argv: [own], waits: false });
  // Busybox only sends a signal, to whatever runs as the first process.
  const busybox = own !== undefined && behind(own) === "busybox" ? own : find("busybox");
  if (busybox !== undefined && !systemd && initHeeds(signal)) {
    ways.push({ argv: busybox === own ? [own] : [busybox, program], waits: false });
  }
  return ways;
}

/** Whether a signal is handled or waited for, by the masks of proc_pid_status(5); unknown masks count as yes. */
export function heedsSignal(status: string, signal: number): boolean {
  const masks = ["SigBlk", "SigCgt"].map((name) => new RegExp(`^${name}:\\s*([0-9a-f]{1,16})$`, "m").exec(status)?.[1]);
  return masks.some((mask) => mask === undefined || ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n);
}

const MEANS: ShutdownMeans = {
  find: findProgram,
  behind: programBehind,
  exists: existsSync,
  initHeeds: (signal) => heedsSignal(readText("/proc/1/status") ?? "", signal),
};

/** reboot(2), LINUX_REBOOT_CMD_* as the signed numbers of an int. */
const REBOOT: Readonly<Record<ShutdownMode, number>> = {
  powerdown: 0x4321fedc,
  reboot: 0x01234567,
  halt: 0xcdef0123 | 0,
};

/** The kernel ends everything at once; what was written is made safe before. @throws SystemError */
function shutdownByKernel(mode: ShutdownMode): void {
  libc.sync();
  check(libc.reboot(REBOOT[mode]), "reboot");
}

const MINUTE_MS = 60_000;

/** Does it now when there are no minutes to wait; later nobody is there to hear of a failure. */
async function afterMinutes(minutes: number, action: () => void | Promise<void>): Promise<void> {
  if (minutes === 0) return action();
  loop.after(minutes * MINUTE_MS, async () => {
    try {
      await action();
    } catch {
      // The host sees a guest that stays.
    }
  });
}

async function shutdown(mode: ShutdownMode, message: string, minutes: number): Promise<void> {
  for (const { argv, waits } of shutdownWays(mode, message, minutes, MEANS)) {
    try {
      await afterMinutes(waits ? 0 : minutes, async () => {
        await runProgram(processes, argv);
      });
      return;
    } catch (error) {
      // A program that was started and refuses has its reasons, which are not to be got round.
      if (!(error instanceof ProgramError && error.failure instanceof SystemError)) throw error;
    }
  }
  await afterMinutes(minutes, () => shutdownByKernel(mode));
}

/** Each mode in the words of systemd, of pm-utils, and of /sys/power/state (Documentation/admin-guide/pm). */
const SUSPEND: Readonly<
  Record<
    SuspendMode,
    {
      readonly service: string;
      readonly verb: string;
      readonly supported: string;
      readonly program: string;
      readonly state?: string;
    }
  >
> = {
  disk: {
    service: "systemd-hibernate",
    verb: "hibernate",
    supported: "--hibernate",
    program: "pm-hibernate",
    state: "disk",
  },
  ram: { service: "systemd-suspend", verb: "suspend", supported: "--suspend", program: "pm-suspend", state: "mem" },
  hybrid: {
    service: "systemd-hybrid-sleep",
    verb: "hybrid-sleep",
    supported: "--suspend-hybrid",
    program: "pm-suspend-hybrid",
  },
};

const STATE = "/sys/power/state";
const O_WRONLY = 1;
const O_CLOEXEC = 0o2000000;

/** @returns undefined when it could not be started or did not end by itself */
async function exitCode(argv: readonly string[]): Promise<number | undefined> {
  try {
    await runProgram(processes, argv);
    return 0;
  } catch (error) {
    if (!(error instanceof ProgramError)) throw error;
    return error.failure instanceof SystemError ? undefined : error.failure.exitCode;
  }
}

/** @throws AttemptsError */
async function run(name: string, argv: readonly string[]): Promise<void> {
  const code = await exitCode(argv);
  if (code === 0) return;
  const outcome = code === undefined ? "did not run to its end" : `returned an unexpected exit status code (${code})`;
  throw new AttemptsError([`the helper program '${name}' ${outcome}`]);
}

/** @returns false when this guest has no such way. @throws AttemptsError when it failed */
type SuspendWay = (mode: SuspendMode) => Promise<boolean>;

const bySystemd: SuspendWay = async (mode) => {
  const { service, verb } = SUSPEND[mode];
  const systemctl = findProgram("systemctl");
  if (systemctl === undefined) return false;
  // Codes of systemctl(1): 1 to 3 is a service that is there and not running.
  const status = (await exitCode([systemctl, "status", service])) ?? 0;
  if (status < 1 || status > 3) return false;
  await run(`systemctl ${verb}`, [systemctl, verb]);
  return true;
};

const byPmUtils: SuspendWay = async (mode) => {
  const { supported, program } = SUSPEND[mode];
  const isSupported = findProgram("pm-is-supported");
  if (isSupported === undefined || (await exitCode([isSupported, supported])) !== 0) return false;
  await run(program, [findProgram(program) ?? program]);
  return true;
};

/** The call comes back when the guest has woken up again. */
const byKernel: SuspendWay = async (mode) => {
  const { state } = SUSPEND[mode];
  if (state === undefined || !readText(STATE)?.split(" ").includes(state)) return false;
  try {
    const fd = check(libc.open(cstring(STATE), O_WRONLY | O_CLOEXEC, 0), "open", STATE);
    try {
      check(Number(libc.write(fd, Buffer.from(state), state.length)), "write", STATE);
    } finally {
      libc.close(fd);
    }
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new AttemptsError([`suspend: cannot write to '${STATE}': ${error.reason}`]);
  }
  return true;
};

async function suspend(mode: SuspendMode): Promise<void> {
  const tried: string[] = [];
  for (const way of [bySystemd, byPmUtils, byKernel]) {
    try {
      if (await way(mode)) return;
    } catch (error) {
      if (!(error instanceof AttemptsError)) throw error;
      tried.push(...error.tried);
    }
  }
  throw new AttemptsError(tried);
}

export const power: Power = { shutdown, suspend };
