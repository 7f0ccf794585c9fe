/** What the kernel counts: load, processors, disks, memory (proc(5)). */
import type { Counter, CpuTimes, DiskCounters, MemoryFacts, Statistics } from "../../src/guest.ts";
import { killedForMemory } from "./kernel-log.ts";
import { check, libc } from "./libc.ts";
import { listProcesses } from "./process-list.ts";
import { requiredText, textOf } from "./whole-file.ts";

/** struct sysinfo (sysinfo(2)): which word each member is; the loads are fixed-point numbers. */
const SYSINFO = { uptime: 0, one: 1, five: 2, fifteen: 3, words: 14 } as const;
const LOAD_UNIT = 65536;
const sysinfo = new BigInt64Array(SYSINFO.words);

const loadOf = (word: bigint | undefined): number => Number(word ?? 0n) / LOAD_UNIT;

function load(): { readonly one: number; readonly five: number; readonly fifteen: number } {
  check(libc.sysinfo(sysinfo), "sysinfo");
  return {
    one: loadOf(sysinfo[SYSINFO.one]),
    five: loadOf(sysinfo[SYSINFO.five]),
    fifteen: loadOf(sysinfo[SYSINFO.fifteen]),
  };
}

function uptime(): number {
  check(libc.sysinfo(sysinfo), "sysinfo");
  return Number(sysinfo[SYSINFO.uptime]);
}

const SAFE_DIGITS = 15;

const counter = (digits: string): Counter => (digits.length <= SAFE_DIGITS ? Number(digits) : BigInt(digits));

/** Ticks of a hundredth second, the USER_HZ of x86 and arm64, in milliseconds. */
const milliseconds = (ticks: string): Counter =>
  ticks.length < SAFE_DIGITS ? Number(ticks) * 10 : counter(String(BigInt(ticks) * 10n));

const CPU_LINE = /^cpu(\d+)((?: \d+){4,}) *$/;

function cpuTimes(cpu: number, fields: string): CpuTimes {
  const [user = 0, nice = 0, system = 0, idle = 0, iowait, irq, softirq, steal, guest, guestNice] = fields
    .slice(1)
    .split(" ")
    .map(milliseconds);
  return { cpu, user, nice, system, idle, iowait, irq, softirq, steal, guest, guestNice };
}

/** The lines of /proc/stat that are about one processor: they come first. */
export function parseCpus(text: string): CpuTimes[] {
  const found: CpuTimes[] = [];
  for (let start = 0; text.startsWith("cpu", start); ) {
    const end = text.indexOf("\n", start);
    const [match, cpu, fields = ""] = CPU_LINE.exec(text.slice(start, end < 0 ? undefined : end)) ?? [];
    if (match !== undefined) found.push(cpuTimes(Number(cpu), fields));
    if (end < 0) break;
    start = end + 1;
  }
  return found;
}

const DISK_LINE = /^ *(\d+) +(\d+) ([^ ]+)((?: \d+){11,})/gm;
/** Fields of a line after the name: discards came with Linux 4.18, flushes with 5.5. */
const WITH_DISCARDS = 15;
const WITH_FLUSHES = 17;

function diskCounters(name: string, major: number, minor: number, fields: string): DiskCounters {
  const count = fields.slice(1).split(" ").map(counter);
  const [readIos = 0, readMerges = 0, readSectors = 0, readTicks = 0, writeIos = 0, writeMerges = 0] = count;
  const [writeSectors = 0, writeTicks = 0, iosInProgress = 0, totalTicks = 0, weightTicks = 0] = count.slice(6);
  const hasDiscards = count.length >= WITH_DISCARDS;
  const hasFlushes = count.length >= WITH_FLUSHES;
  return {
    name,
    major,
    minor,
    readIos,
    readMerges,
    readSectors,
    readTicks,
    writeIos,
    writeMerges,
    writeSectors,
    writeTicks,
    iosInProgress,
    totalTicks,
    weightTicks,
    discardIos: hasDiscards ? count[11] : undefined,
    discardMerges: hasDiscards ? count[12] : undefined,
    discardSectors: hasDiscards ? count[13] : undefined,
    discardTicks: hasDiscards ? count[14] : undefined,
    flushIos: hasFlushes ? count[15] : undefined,
    flushTicks: hasFlushes ? count[16] : undefined,
  };
}

/** The lines of /proc/diskstats. */
export const parseDisks = (text: string): DiskCounters[] =>
  Array.from(text.matchAll(DISK_LINE), ([, major, minor, name = "", fields = ""]) =>
    diskCounters(name, Number(major), Number(minor), fields),
  );

/** Lines `Name: 1 kB` or `name 1` by name. */
export function parseTable(text: string): ReadonlyMap<string, number> {
  return new Map(Array.from(text.matchAll(/^([^\s:]+):?\s+(\d+)/gm), ([, name = "", value]) => [name, Number(value)]));
}

function memory(): MemoryFacts {
  const kibibytes = parseTable(textOf("/proc/meminfo") ?? "");
  const events = parseTable(textOf("/proc/vmstat") ?? "");
  const free = kibibytes.get("MemFree") ?? 0;
  const buffers = kibibytes.get("Buffers") ?? 0;
  const cached = kibibytes.get("Cached") ?? 0;
  return {
    total: kibibytes.get("MemTotal") ?? 0,
    free,
    available: kibibytes.get("MemAvailable") ?? free + buffers + cached,
    buffers,
    cached,
    swapTotal: kibibytes.get("SwapTotal") ?? 0,
    swapFree: kibibytes.get("SwapFree") ?? 0,
    swapIn: events.get("pswpin") ?? 0,
    swapOut: events.get("pswpout") ?? 0,
    pageFaults: events.get("pgfault") ?? 0,
    majorFaults: events.get("pgmajfault") ?? 0,
    // Kernels before 4.13 do not count them; their log is only read when somebody asks.
    get oomKills() {
      return events.get("oom_kill") ?? killedForMemory();
    },
  };
}

export const statistics: Statistics = {
  load,
  cpus: () => parseCpus(requiredText("/proc/stat")),
  disks: () => parseDisks(requiredText("/proc/diskstats")),
  memory,
  uptime,
  processes: () => listProcesses(uptime()),
};
