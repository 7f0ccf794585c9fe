/** The system clock. */
import { type Clock, runProgram } from "../../src/guest.ts";
import { check } from "./errors.ts";
import { kernel32 } from "./kernel32.ts";
import { processes } from "./processes.ts";
import { acquirePrivilege } from "./security.ts";

/** FILETIME counts 100 ns since 1601-01-01 UTC. */
const UNIX_EPOCH = 116_444_736_000_000_000n;
const UNIT_NS = 100n;

const filetime = new BigInt64Array(new ArrayBuffer(8));
/** SYSTEMTIME: eight words. */
const SYSTEMTIME_SIZE = 16;

/** Nanoseconds since 1970 of a FILETIME. */
export const fromFiletime = (value: bigint): bigint => (value - UNIX_EPOCH) * UNIT_NS;

function now(): bigint {
  kernel32.GetSystemTimePreciseAsFileTime(filetime);
  return fromFiletime(filetime[0] ?? 0n);
}

function set(nanoseconds: bigint): void {
  const systemTime = Buffer.alloc(SYSTEMTIME_SIZE);
  filetime[0] = nanoseconds / UNIT_NS + UNIX_EPOCH;
  check(kernel32.FileTimeToSystemTime(filetime, systemTime), "FileTimeToSystemTime");
  acquirePrivilege("SeSystemtimePrivilege");
  check(kernel32.SetSystemTime(systemTime), "SetSystemTime");
}

/** Windows keeps the hardware clock itself; there is no way to read it but to ask the time service. */
async function syncHardware(direction: "save" | "load"): Promise<void> {
  if (direction === "load") await runProgram(processes, ["w32tm.exe", "/resync", "/nowait"], { timeout: 60_000 });
}

export const clock: Clock = { now, set, syncHardware };
