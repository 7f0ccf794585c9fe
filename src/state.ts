/** What the agent remembers over restarts, in its state directory: the files and formats of qemu-ga. */
import { type Guest, SystemError } from "./guest.ts";

/** The first handle that guest-file-open gives. */
const FIRST_HANDLE = 1000;

const stateFile = (statedir: string): string => `${statedir}/qga.state`;
const stateText = (nextHandle: number): string => `[global]\nfd_counter=${nextHandle}\n`;

/** The file that is there while filesystems are frozen. */
export const freezeMark = (statedir: string): string => `${statedir}/qga.state.isfrozen`;

/** Whether an earlier agent left filesystems frozen. */
export const isMarkedFrozen = (guest: Guest, statedir: string): boolean =>
  guest.files.exists(freezeMark(statedir)) && guest.freezer !== undefined;

/**
 * Finds out at the start, not when the first file is opened, whether anything can be remembered; as qemu-ga does, it
 * leaves the file there.
 * @throws SystemError
 */
export function checkState(guest: Guest, statedir: string): void {
  const path = stateFile(statedir);
  if (guest.files.exists(path)) guest.files.readText(path);
  else guest.files.replaceText(path, stateText(FIRST_HANDLE));
}

/** Gives a handle that no run of the agent has given before. @throws SystemError when that cannot be written down */
export function createHandleCounter(guest: Guest, statedir: string): () => number {
  const path = stateFile(statedir);
  let next: number | undefined;
  const load = (): number => {
    if (!guest.files.exists(path)) return FIRST_HANDLE;
    const stored = Number(/^fd_counter\s*=\s*(\d+)\s*$/m.exec(guest.files.readText(path))?.[1]);
    return Number.isSafeInteger(stored) && stored >= FIRST_HANDLE ? stored : FIRST_HANDLE;
  };
  return () => {
    next ??= load();
    const handle = next;
    try {
      guest.files.replaceText(path, stateText(handle + 1));
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      throw new SystemError(error.call, error.code, `failed to commit persistent state to disk: ${error.reason}`, path);
    }
    next = handle + 1;
    return handle;
  };
}
