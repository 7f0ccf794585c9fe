/** Keeps the heap small: strings that pass through on the bulk path are garbage at once. */
import { fullGC } from "bun:jsc";
import type { Loop } from "./guest.ts";

/**
 * So much garbage may pass before it is collected. Only a full collection frees the strings at once; the young one
 * leaves them to a sweep that comes when their cells are needed again.
 */
const COLLECT_BYTES = 2 * 1024 * 1024;
/** Quiet time after work before memory is given back to the system. */
const QUIET_MS = 500;
/** Work below which giving back is not worth its wakeup. */
const WORTHWHILE_BYTES = 256 * 1024;

let sinceCollection = 0;
let sinceQuiet = 0;
let waiting = false;
let busy = false;
let loop: Loop | undefined;

/** Says on which loop to wait for a quiet moment. */
export function tidyOn(theLoop: Loop): void {
  loop = theLoop;
}

/** Says that `bytes` of garbage were made. */
export function spent(bytes: number): void {
  busy = true;
  sinceCollection += bytes;
  sinceQuiet += bytes;
  if (sinceCollection >= COLLECT_BYTES) {
    sinceCollection = 0;
    fullGC();
  }
  if (waiting || sinceQuiet < WORTHWHILE_BYTES || loop === undefined) return;
  waitForQuiet(loop);
}

function waitForQuiet(on: Loop): void {
  waiting = true;
  busy = false;
  on.after(QUIET_MS, () => {
    if (busy) return waitForQuiet(on);
    waiting = false;
    sinceQuiet = 0;
    sinceCollection = 0;
    fullGC();
    Bun.shrink();
  });
}
