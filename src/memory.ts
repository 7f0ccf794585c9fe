/** Keeps the heap small: strings that pass through on the bulk path are garbage at once. */
import { edenGC, fullGC } from "bun:jsc";
import type { Loop } from "./guest.ts";

/** So much may pass before the young garbage is collected (a tenth of a millisecond). */
const EDEN_BYTES = 1024 * 1024;
/** Quiet time after work before everything is collected once. */
const QUIET_MS = 500;
/** Work below which a full collection is not worth its wakeup. */
const WORTHWHILE_BYTES = 256 * 1024;

let sinceEden = 0;
let sinceFull = 0;
let waiting = false;
let loop: Loop | undefined;

/** Says on which loop to wait for a quiet moment. */
export function tidyOn(theLoop: Loop): void {
  loop = theLoop;
}

/** Says that `bytes` of garbage were made. */
export function spent(bytes: number): void {
  sinceEden += bytes;
  sinceFull += bytes;
  if (sinceEden >= EDEN_BYTES) {
    sinceEden = 0;
    edenGC();
  }
  if (waiting || sinceFull < WORTHWHILE_BYTES || loop === undefined) return;
  waiting = true;
  loop.after(QUIET_MS, tidy);
}

function tidy(): void {
  waiting = false;
  if (sinceFull >= WORTHWHILE_BYTES * 4 && sinceEden > 0) {
    // Still at work: look again later.
    sinceFull = WORTHWHILE_BYTES;
    sinceEden = 0;
    spent(0);
    return;
  }
  sinceFull = 0;
  sinceEden = 0;
  fullGC();
  Bun.shrink();
}
