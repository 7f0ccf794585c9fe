/** The memory of the agent itself. */
import type { Pointer } from "bun:ffi";
import { readText } from "./files.ts";
import { libc } from "./libc.ts";

const MADV_DONTNEED = 4;
/** A line of proc_pid_maps(5) about code that lies in a file: its range. */
const CODE = /^([0-9a-f]+)-([0-9a-f]+) r-xp \S+ \S+ \d+ +\/.*$/gm;

/**
 * Takes the pages of executable code out of the process (madvise(2)). They stay in the page cache, and those that are
 * used again come back without a disk being read; most were only needed to start.
 */
export function releaseCode(): void {
  for (const [, start = "0", end = "0"] of readText("/proc/self/maps").matchAll(CODE)) {
    const from = Number.parseInt(start, 16);
    // Refused where memory is locked: then it stays.
    libc.madvise(from as Pointer, BigInt(Number.parseInt(end, 16) - from), MADV_DONTNEED);
  }
}
