/** Sizes of mounted filesystems (statvfs(3)). */
import { libc } from "./libc.ts";

/** struct statvfs as glibc and musl have it where long has 64 bits: which word each member is. */
const STATVFS = { words: 14, frsize: 1, blocks: 2, bfree: 3, bavail: 4 } as const;

const words = new BigUint64Array(STATVFS.words);

/** Bytes, with unsigned 64-bit arithmetic. */
export interface Usage {
  readonly usedBytes: bigint;
  /** What others than root can fill. */
  readonly totalBytes: bigint;
  readonly totalBytesPrivileged: bigint;
}

/** @returns undefined when the filesystem does not say. */
export function usageOf(path: Uint8Array): Usage | undefined {
  if (libc.statvfs(path, words) !== 0) return undefined;
  const { [STATVFS.frsize]: size = 0n, [STATVFS.blocks]: blocks = 0n } = words;
  const { [STATVFS.bfree]: free = 0n, [STATVFS.bavail]: available = 0n } = words;
  const used = blocks - free;
  return {
    usedBytes: BigInt.asUintN(64, used * size),
    totalBytes: BigInt.asUintN(64, (used + available) * size),
    totalBytesPrivileged: BigInt.asUintN(64, blocks * size),
  };
}
