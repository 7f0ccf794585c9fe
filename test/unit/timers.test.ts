import { expect, test } from "bun:test";
import { after, patience, runTasks, runTimers, soon } from "../../src/timers.ts";

const FOREVER = -1;

/** What a loop's turn does. */
function runDue(): void {
  runTimers();
  runTasks();
}

/** Waits without a turn. */
function pass(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

test("nothing to do is for ever", () => {
  expect(patience(FOREVER)).toBe(FOREVER);
  runDue();
  expect(patience(FOREVER)).toBe(FOREVER);
});

test("calls come in the order in which they are due, those at the same time in the order of asking", () => {
  const called: string[] = [];
  after(80, () => called.push("third"));
  after(40, () => called.push("first"));
  after(40, () => called.push("second"));
  after(1e6, () => called.push("late"));
  const next = patience(FOREVER);
  expect(next).toBeGreaterThan(0);
  expect(next).toBeLessThanOrEqual(40);
  runDue();
  expect(called).toEqual([]);
  pass(90);
  runDue();
  expect(called).toEqual(["first", "second", "third"]);
  const left = patience(FOREVER);
  expect(left).toBeGreaterThan(990_000);
  expect(left).toBeLessThanOrEqual(1_000_000);
});

test("one that was cancelled is not called, not even by another one of the same turn", () => {
  const called: string[] = [];
  const cancelSecond: { call?: () => void } = {};
  after(1, () => {
    called.push("first");
    cancelSecond.call?.();
  });
  cancelSecond.call = after(1, () => called.push("second"));
  const cancel = after(1, () => called.push("third"));
  cancel();
  cancel();
  pass(2);
  runDue();
  expect(called).toEqual(["first"]);
});

test("what is put off waits for the next turn", () => {
  const called: string[] = [];
  soon(() => {
    called.push("one");
    soon(() => called.push("two"));
  });
  expect(patience(FOREVER)).toBe(0);
  runDue();
  expect(called).toEqual(["one"]);
  expect(patience(FOREVER)).toBe(0);
  runDue();
  expect(called).toEqual(["one", "two"]);
});
