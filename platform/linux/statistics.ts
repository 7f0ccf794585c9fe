/** What the kernel counts: load, processors, disks, memory (proc(5)). */
import type { Counter, CpuTimes, DiskCounters, MemoryFacts, Statistics } from "../../src/guest.ts";
import { files } from "./files.ts";
import { check, libc } from "./libc.ts";
import { listProcesses } from "./process-list.ts";

/** struct sysinfo (sysinfo(2)); the loads are fixed-point numbers. */
const SYSINFO = { uptime: 0, loads: 1, size: 112 } as const;
const LOAD_UNIT = 65536;
const sysinfo = new BigInt64Array(SYSINFO.size / BigInt64Array.BYTES_PER_ELEMENT);

function load(): { readonly one: number; readonly five: number; readonly fifteen: number } {
  check(libc.sysinfo(sysinfo), "sysinfo");
  const [one = 0, five = 0, fifteen = 0] = Array.from(
    sysinfo.subarray(SYSINFO.loads, SYSINFO.loads + 3),
    (value) => Number(value) / LOAD_UNIT,
  );
  return { one, five, fifteen };
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

const CPU_LINE = /^cpu(\d+)((?: \d+){4,})/gm;

/** The lines of /proc/stat that are about one processor. */
export function parseCpus(text: string): CpuTimes[] {
  return Array.from(text.matchAll(CPU_LINE), ([, cpu = "", fields = ""]) => {
    const [user = 0, nice = 0, system = 0, idle = 0, iowait, irq, softirq, steal, guest, guestNice] = fields
      .slice(1)
      .split(" ")
      .map(milliseconds);
    return {
      cpu: Number(cpu),
      user,
      nice,
      system,
      idle,
      ...(iowait === undefined ? {} : { iowait }),
      ...(irq === undefined || softirq === undefined ? {} : { irq, softirq }),
      ...(steal === undefined ? {} : { steal }),
      ...(guest === undefined ? {} : { guest }),
      ...(guestNice === undefined ? {} : { guestNice }),
    };
  });
}

const DISK_LINE = /^ *(\d+) +(\d+) (\S+)((?: \d+){11,})/gm;

/** The lines of /proc/diskstats; discards came with Linux 4.18, flushes with 5.5. */
export function parseDisks(text: string): DiskCounters[] {
  return Array.from(text.matchAll(DISK_LINE), ([, major = "", minor = "", name = "", fields = ""]) => {
    const count = fields.slice(1).split(" ").map(counter);
    const [readIos = 0, readMerges = 0, readSectors = 0, readTicks = 0, writeIos = 0, writeMerges = 0] = count;
    const [writeSectors = 0, writeTicks = 0, iosInProgress = 0, totalTicks = 0, weightTicks = 0] = count.slice(6);
    const [discardIos, discardMerges, discardSectors, discardTicks, flushIos, flushTicks] = count.slice(11);
    return {
      name,
      major: Number(major),
      minor: Number(minor),
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
      ...(discardTicks === undefined ? {} : { discardIos, discardMerges, discardSectors, discardTicks }),
      ...(flushTicks === undefined ? {} : { flushIos, flushTicks }),
    };
  });
}

/** Lines `Name: 1 kB` or `name 1` by name. */
export function parseTable(text: string): ReadonlyMap<string, number> {
  return new Map(Array.from(text.matchAll(/^([^\s:]+):?\s+(\d+)/gm), ([, name = "", value]) => [name, Number(value)]));
}

function memory(): MemoryFacts {
  const kibibytes = parseTable(files.readText("/proc/meminfo"));
  const events = parseTable(files.readText("/proc/vmstat"));
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
    oomKills: events.get("oom_kill") ?? 0,
  };
}

export const statistics: Statistics = {
  load,
  cpus: () => parseCpus(files.readText("/proc/stat")),
  disks: () => parseDisks(files.readText("/proc/diskstats")),
  memory,
  uptime,
  processes: () => listProcesses(uptime()),
};
