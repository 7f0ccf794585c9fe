/** The messages of one host, each of which is done before the next one begins. */
import type { JsonObject } from "../framing/json.ts";

export interface Turns {
  /** Whether a message is under way. */
  readonly busy: boolean;
  /** Begins with a message, now or when those before it are done. */
  take(message: JsonObject): void;
  /** @returns what tells later whether the host of now has gone */
  watchHost(): () => boolean;
  /** The host has gone: what it asked for is forgotten, and nobody waits for what is under way. */
  reset(): void;
}

/**
 * @param begin starts on a message; a promise that it gives does not reject
 * @param resume called when all that waited has had its turn
 */
export function createTurns(begin: (message: JsonObject) => void | Promise<void>, resume: () => void): Turns {
  let busy = false;
  let queue: JsonObject[] = [];
  /** Hosts there have been. */
  let hosts = 0;

  const watchHost = (): (() => boolean) => {
    const asked = hosts;
    return () => asked !== hosts;
  };

  const take = (message: JsonObject): void => {
    if (busy) {
      queue.push(message);
      return;
    }
    const running = begin(message);
    if (running === undefined) return;
    busy = true;
    const isGone = watchHost();
    running.then(() => {
      if (isGone()) return;
      busy = false;
      const waiting = queue;
      queue = [];
      for (const later of waiting) take(later);
      resume();
    });
  };

  return {
    get busy() {
      return busy;
    },
    take,
    watchHost,
    reset() {
      hosts++;
      busy = false;
      queue = [];
    },
  };
}
