/** What Windows counts. */
import type { MemoryFacts, Statistics } from "../../src/guest.ts";
import { check } from "./errors.ts";
import { kernel32 } from "./kernel32.ts";

/** MEMORYSTATUSEX (sysinfoapi.h): bytes. */
const MEMORY = { size: 64, total: 8, available: 16, commitLimit: 24, commitAvailable: 32 } as const;
/** PERFORMANCE_INFORMATION (psapi.h): pages. */
const PERFORMANCE = { size: 104, systemCache: 48, pageSize: 80 } as const;
const KIBIBYTE = 1024n;

function memory(): MemoryFacts {
  const status = Buffer.alloc(MEMORY.size);
  status.writeUInt32LE(MEMORY.size, 0);
  check(kernel32.GlobalMemoryStatusEx(status), "GlobalMemoryStatusEx");
  const kibibytes = (offset: number): bigint => status.readBigUInt64LE(offset) / KIBIBYTE;
  const total = kibibytes(MEMORY.total);
  const available = kibibytes(MEMORY.available);
  // The commit limit is what fits into memory and page files together.
  const swapTotal = kibibytes(MEMORY.commitLimit) - total;
  const swapFree = kibibytes(MEMORY.commitAvailable) - available;
  const atLeastNothing = (value: bigint): number => (value > 0n ? Number(value) : 0);
  return {
    total: Number(total),
    free: Number(available),
    available: Number(available),
    buffers: 0,
    cached: cachedKibibytes(),
    swapTotal: atLeastNothing(swapTotal),
    swapFree: Math.min(atLeastNothing(swapFree), atLeastNothing(swapTotal)),
    swapIn: 0,
    swapOut: 0,
    pageFaults: 0,
    majorFaults: 0,
    oomKills: 0,
  };
}

function cachedKibibytes(): number {
  const performance = Buffer.alloc(PERFORMANCE.size);
  performance.writeUInt32LE(PERFORMANCE.size, 0);
  if (kernel32.K32GetPerformanceInfo(performance, PERFORMANCE.size) === 0) return 0;
  const pages = performance.readBigUInt64LE(PERFORMANCE.systemCache);
  return Number((pages * performance.readBigUInt64LE(PERFORMANCE.pageSize)) / KIBIBYTE);
}

const MILLISECONDS = 1000;

export const statistics: Statistics = {
  memory,
  uptime: () => Math.floor(Number(kernel32.GetTickCount64()) / MILLISECONDS),
};
