/** What a loop calls by itself: at a time, or on its next turn. Only one loop runs in a process. */
import type { Loop } from "./guest.ts";

interface Timer {
  readonly due: number;
  readonly callback: () => void;
}

/** The next one first. */
let timers: Timer[] = [];
let tasks: (() => void)[] = [];

export const after: Loop["after"] = (milliseconds, callback) => {
  const timer = { due: performance.now() + milliseconds, callback };
  const at = timers.findIndex((other) => other.due > timer.due);
  timers.splice(at < 0 ? timers.length : at, 0, timer);
  return () => {
    timers = timers.filter((other) => other !== timer);
  };
};

export const soon: Loop["soon"] = (callback) => {
  tasks.push(callback);
};

/** Milliseconds to sleep: 0 when something is to be done at once, `forever` when nothing is to be done. */
export function patience(forever: number): number {
  if (tasks.length > 0) return 0;
  const next = timers[0];
  return next === undefined ? forever : Math.max(0, Math.ceil(next.due - performance.now()));
}

/** Calls back what is due. */
export function runTimers(): void {
  while (timers[0] !== undefined && timers[0].due <= performance.now()) timers.shift()?.callback();
}

/** Calls back what was put off until this turn; what that puts off waits for the next one. */
export function runTasks(): void {
  if (tasks.length === 0) return;
  const now = tasks;
  tasks = [];
  for (const task of now) task();
}
