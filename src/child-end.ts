/** The end of a child process: it has exited, and all its pipes have been read to their end or were given up. */
import type { ExitStatus, Loop } from "./guest.ts";

export interface ChildEnd {
  /**
   * Counts a pipe of the child's.
   * @param drain starts to read it, calls back when it is closed, and gives what closes it early
   */
  awaitPipe(drain: (closed: () => void) => () => void): void;
  /** The child itself has exited. */
  exited(status: ExitStatus): void;
}

/**
 * @param timeout milliseconds after which the child is killed and its pipes are given up: what it has started may keep
 * them open for ever
 * @param ended called once, when nothing is left to wait for
 */
export function watchForEnd(
  loop: Pick<Loop, "after">,
  timeout: number | undefined,
  kill: () => void,
  ended: (status: ExitStatus) => void,
): ChildEnd {
  let status: ExitStatus | undefined;
  let timedOut = false;
  let open = 0;
  const abandon: (() => void)[] = [];
  const expire = (): void => {
    timedOut = true;
    kill();
    for (const close of abandon) close();
  };
  const cancelTimeout = timeout === undefined ? undefined : loop.after(timeout, expire);
  const finish = (): void => {
    if (open > 0 || status === undefined) return;
    cancelTimeout?.();
    ended(timedOut ? { ...status, timedOut } : status);
  };
  return {
    awaitPipe(drain) {
      open++;
      abandon.push(
        drain(() => {
          open--;
          finish();
        }),
      );
    },
    exited(how) {
      status = how;
      finish();
    },
  };
}
