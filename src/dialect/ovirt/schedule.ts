/** When which message is due: one timer for all of them. */
import type { Loop } from "../../guest.ts";
import type { Message } from "./message.ts";
import type { Settings } from "./settings.ts";

/** Those that fall due so close together are sent at one time. */
const TOGETHER_MS = 20;

/**
 * Calls `due` with messages each time their rate comes round; the first time is one period from now.
 * @returns ends it
 */
export function keepSchedule(
  loop: Loop,
  messages: readonly Message[],
  settings: Settings,
  due: (messages: readonly Message[]) => void,
): () => void {
  const begun = performance.now();
  const entries = messages.flatMap((message) => {
    if (message.rate === undefined) return [];
    const period = settings[message.rate] * 1000;
    return [{ message, period, next: begun + period }];
  });
  let cancel: (() => void) | undefined;
  const wait = (): void => {
    const next = Math.min(...entries.map((entry) => entry.next));
    cancel = loop.after(Math.max(0, next - performance.now()), () => {
      const now = performance.now() + TOGETHER_MS;
      const ready = entries.filter((entry) => entry.next <= now);
      for (const entry of ready) {
        entry.next += entry.period;
        // After a time in which nothing ran (the guest slept) what was missed is not made up for.
        if (entry.next <= now) entry.next = now + entry.period;
      }
      wait();
      due(ready.map(({ message }) => message));
    });
  };
  wait();
  return () => cancel?.();
}
