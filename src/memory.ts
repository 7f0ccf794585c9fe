/** Keeps the heap small: strings that pass through on the bulk path are garbage at once. */
import { edenGC, fullGC } from "bun:jsc";
import type { Loop } from "./guest.ts";

/** So much garbage may pass before the young of it is collected, which takes a tenth of a millisecond. */
const COLLECT_BYTES = 2 * 1024 * 1024;
/** So much of it while a turn of the loop goes on. */
const COLLECT_IN_TURN_BYTES = 3 * 1024 * 1024;
/** What is in use while the young is collected counts as old from then on, and only this collection finds it dead. */
const FULL_EVERY = 256;
/** Garbage in pieces of this size has mostly grown old while it was filled. */
const LARGE_BYTES = 1024 * 1024;
/** So much of it may pass. */
const COLLECT_LARGE_BYTES = 16 * 1024 * 1024;
/**
 * The allocator gives a page of its own (512 KiB, 4 MiB for large strings) back as soon as nothing in it is in use, and
 * each collection would have the kernel clear it again. So some of the strings that pass are kept until the work is
 * over.
 */
const KEPT_BYTES = 192 * 1024;
const KEPT_EVERY_BYTES = 256 * 1024;
/** Quiet time after work before memory is given back to the system. */
const QUIET_MS = 500;
/** Work below which giving back is not worth its wakeup. */
const WORTHWHILE_BYTES = 256 * 1024;

let sinceCollection = 0;
let collections = 0;
let due = false;
let sinceLarge = 0;
let kept: string[] = [];
let keptBytes = 0;
let sinceKept = 0;
let sinceQuiet = 0;
let waiting = false;
let busy = false;
let loop: Loop | undefined;
let giveBack: (() => void) | undefined;
let mayTidy = (): boolean => true;

/**
 * Begins to keep memory small: what only the start needed is given back first.
 * @param theLoop where a quiet moment is waited for
 * @param release gives back what the process can get again
 * @param allowed whether that may be done now; if not, it is left for after the next requests
 */
export function tidyOn(theLoop: Loop, release: (() => void) | undefined, allowed: () => boolean): void {
  loop = theLoop;
  giveBack = release;
  mayTidy = allowed;
  waitForQuiet(loop);
}

/** Says that `bytes` of requests were served. */
export function worked(bytes: number): void {
  busy = true;
  sinceQuiet += bytes;
  if (!waiting && sinceQuiet >= WORTHWHILE_BYTES && loop !== undefined) waitForQuiet(loop);
}

/** Says that `bytes` of garbage were made. */
export function spent(bytes: number): void {
  if (bytes >= LARGE_BYTES) sinceLarge += bytes;
  sinceCollection += bytes;
  if (sinceCollection >= COLLECT_BYTES && !due && loop !== undefined) {
    due = true;
    // Between two turns: what a turn has in use would be taken for old.
    loop.soon(() => {
      due = false;
      if (sinceCollection >= COLLECT_BYTES) collect();
    });
  }
  worked(bytes);
}

/** Says that a string has passed that was needed for a moment. */
export function passed(text: string): void {
  sinceKept += text.length;
  if (sinceKept >= KEPT_EVERY_BYTES && keptBytes < KEPT_BYTES) {
    sinceKept = 0;
    keptBytes += text.length;
    kept.push(text);
  }
  spent(text.length);
}

/** Says that a turn that makes garbage goes on, and that little is in use. */
export function turnGoesOn(): void {
  if (sinceCollection >= COLLECT_IN_TURN_BYTES) collect();
}

function collect(): void {
  sinceCollection = 0;
  if (sinceLarge < COLLECT_LARGE_BYTES && ++collections % FULL_EVERY !== 0) edenGC();
  else {
    sinceLarge = 0;
    fullGC();
  }
}

function waitForQuiet(on: Loop): void {
  waiting = true;
  busy = false;
  on.after(QUIET_MS, () => {
    if (busy) return waitForQuiet(on);
    waiting = false;
    sinceQuiet = WORTHWHILE_BYTES;
    if (!mayTidy()) return;
    sinceQuiet = 0;
    sinceCollection = 0;
    kept = [];
    keptBytes = 0;
    // First of all: what the collector needs itself comes back, and is what the next request needs too.
    giveBack?.();
    // More than `fullGC`: what is found dead is freed at once, and not when its place is needed.
    Bun.gc(true);
  });
}
