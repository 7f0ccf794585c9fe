/** What the agent remembers over restarts: the file `qga.state` in its state directory, in qemu-ga's format. */
import { type Guest, SystemError } from "./guest.ts";

/** The first handle that guest-file-open gives. */
const FIRST_HANDLE = 1000;

/** Gives a handle that no run of the agent has given before. @throws SystemError when that cannot be written down */
export function createHandleCounter(guest: Guest, statedir: string): () => number {
  const path = `${statedir}/qga.state`;
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
      guest.files.replaceText(path, `[global]\nfd_counter=${handle + 1}\n`);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      throw new SystemError(error.call, error.code, `failed to commit persistent state to disk: ${error.reason}`, path);
    }
    next = handle + 1;
    return handle;
  };
}
