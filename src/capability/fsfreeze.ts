/**
 * Freezing filesystems for a snapshot: the hook, the state that outlives the agent, and the deadline.
 *
 * While frozen nothing here touches a filesystem: the log is silent, and the mark was made before.
 */
import type { Config } from "../config/config.ts";
import { RequestError } from "../errors.ts";
import { AttemptsError, type Freezer, type Guest, ProgramError, runProgram, SystemError } from "../guest.ts";
import type { Log } from "../log.ts";
import { freezeMark, isMarkedFrozen } from "../state.ts";

/** A freeze was asked for while another one holds. */
export class FrozenError extends RequestError {
  override name = "FrozenError";
}

/** The frozen state, kept over restarts of the agent. Freezing and thawing wait for each other. */
export interface Freeze {
  readonly frozen: boolean;
  /** The state; logs when the last freeze was not ended by the host but by its deadline. */
  status(): "frozen" | "thawed";
  /**
   * Runs the hook with `freeze`, then freezes all filesystems or those on `mountpoints`. When one of them cannot be
   * frozen, all are thawed and the hook is run with `thaw`.
   *
   * A hook that is not done after the freeze timeout, or ten minutes when none is set, is killed: then it is run with
   * `thaw`, and the freeze fails.
   * @returns how many filesystems were frozen; when none was, the state stays thawed
   * @throws FrozenError; ProgramError of the hook; SystemError naming the mountpoint
   */
  freeze(mountpoints?: readonly string[]): Promise<number>;
  /**
   * Thaws all filesystems, whoever froze them, then runs the hook with `thaw`.
   * @returns how many filesystems were frozen
   * @throws SystemError: still frozen; ProgramError of the hook: thawed nevertheless
   */
  thaw(): Promise<number>;
}

/** How long a hook may take when nothing else was said. Databases have been seen to need minutes for their flush. */
const HOOK_LIMIT_MS = 600_000;

const wasKilled = (error: unknown): boolean =>
  error instanceof ProgramError && !(error.failure instanceof SystemError) && error.failure.timedOut === true;

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Finds out whether an earlier agent left filesystems frozen, and takes over its freeze. */
export function createFreeze({ guest, config, log }: { guest: Guest; config: Config; log: Log }): Freeze {
  const mark = freezeMark(config.statedir);
  const limit = config.fsfreezeTimeout === undefined ? undefined : config.fsfreezeTimeout * 1000;
  let frozen = false;
  let expired = false;
  let cancelDeadline = (): void => {};
  let busy: Promise<unknown> = Promise.resolve();

  const inTurn = <T>(task: () => Promise<T>): Promise<T> => {
    const result = busy.then(task);
    busy = result.catch(() => {});
    return result;
  };

  const freezerOf = (): Freezer => {
    if (guest.freezer === undefined) throw new RequestError("this system cannot freeze filesystems");
    return guest.freezer;
  };

  const runHook = async (argument: "freeze" | "thaw"): Promise<void> => {
    if (config.fsfreezeHook === undefined) return;
    log.account(`executing fsfreeze hook with arg '${argument}'`);
    log.write("info", `running ${config.fsfreezeHook} ${argument}`);
    await runProgram(guest.processes, [config.fsfreezeHook, argument], { timeout: limit ?? HOOK_LIMIT_MS });
  };

  const warnUnless = async (what: string, action: () => unknown): Promise<void> => {
    try {
      await action();
    } catch (error) {
      log.write("warning", `${what}: ${reasonOf(error)}`);
    }
  };

  const runFreezeHook = async (): Promise<void> => {
    try {
      await runHook("freeze");
    } catch (error) {
      // What it did before it was killed must not stay so; the host need not wait for that.
      if (wasKilled(error)) void inTurn(() => warnUnless("the hook failed to undo its work", () => runHook("thaw")));
      throw error;
    }
  };

  const enter = (): void => {
    log.pause();
    frozen = true;
    expired = false;
  };

  const leave = async (): Promise<void> => {
    cancelDeadline();
    frozen = false;
    log.resume();
    log.write("warning", "filesystems are thawed: logging goes on");
    await warnUnless("the mark of the freeze stays", () => {
      if (guest.files.exists(mark)) guest.files.remove(mark);
    });
  };

  const armDeadline = (): void => {
    if (limit === undefined) return;
    cancelDeadline();
    cancelDeadline = guest.loop.after(limit, () => void inTurn(expire));
  };

  const expire = async (): Promise<void> => {
    if (!frozen) return;
    try {
      const thawed = await freezerOf().thaw();
      await leave();
      expired = true;
      log.write("critical", `no thaw came within ${config.fsfreezeTimeout} s: ${thawed} filesystems were thawed`);
    } catch {
      armDeadline();
      return;
    }
    await warnUnless("the hook failed after the thaw", () => runHook("thaw"));
  };

  const freeze = async (mountpoints?: readonly string[]): Promise<number> => {
    if (frozen) throw new FrozenError("filesystems are frozen already");
    const freezer = freezerOf();
    log.account("guest-fsfreeze called");
    await runFreezeHook();
    await warnUnless("the freeze will not outlive the agent", () => guest.files.touch(mark));
    log.write("warning", "filesystems are about to be frozen: logging stops");
    enter();
    try {
      const count = await freezer.freeze(mountpoints);
      if (count > 0) armDeadline();
      else await leave();
      return count;
    } catch (error) {
      await leave();
      await warnUnless("the hook failed after the thaw", () => runHook("thaw"));
      throw error;
    }
  };

  const thaw = async (): Promise<number> => {
    let thawed: number;
    try {
      thawed = await freezerOf().thaw();
    } catch (error) {
      if (error instanceof AttemptsError && frozen) await leave();
      throw error;
    }
    expired = false;
    if (frozen) await leave();
    log.account("guest-fsthaw called");
    await runHook("thaw");
    return thawed;
  };

  if (isMarkedFrozen(guest, config.statedir)) {
    enter();
    armDeadline();
  }

  return {
    get frozen() {
      return frozen;
    },
    status() {
      if (expired) log.write("critical", `the last freeze ended at its deadline of ${config.fsfreezeTimeout} s`);
      return frozen ? "frozen" : "thawed";
    },
    freeze: (mountpoints) => inTurn(() => freeze(mountpoints)),
    thaw: () => inTurn(thaw),
  };
}
