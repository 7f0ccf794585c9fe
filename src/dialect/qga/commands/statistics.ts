/** Load, processor times and disk counters. */
import { command } from "../command.ts";
import { quotingCalls } from "../errors.ts";
import { enumeration, int64, list, number, optional, string, struct, uint64 } from "../wire.ts";

export const getLoad = command({
  name: "guest-get-load",
  since: "10.0",
  summary: "Returns the number of runnable processes, averaged over 1, 5 and 15 minutes.",
  arguments: {},
  returns: struct({ load1m: number, load5m: number, load15m: number }),
  supported: ({ statistics }) => statistics.load !== undefined,
  run: (_, { guest }) => {
    const { one, five, fifteen } = guest.statistics.load!();
    return { load15m: fifteen, load5m: five, load1m: one };
  },
});

export const getCpustats = command({
  name: "guest-get-cpustats",
  since: "7.1",
  summary: "Lists the milliseconds that each processor has spent in each of its states.",
  arguments: {},
  returns: list(
    struct({
      type: enumeration(["linux"]),
      cpu: int64,
      user: uint64,
      nice: uint64,
      system: uint64,
      idle: uint64,
      iowait: optional(uint64),
      irq: optional(uint64),
      softirq: optional(uint64),
      steal: optional(uint64),
      guest: optional(uint64),
      guestnice: optional(uint64),
    }),
  ),
  supported: ({ statistics }) => statistics.cpus !== undefined,
  run: (_, { guest }) =>
    quotingCalls(() => guest.statistics.cpus!()).map((times) => ({
      cpu: times.cpu,
      guestnice: times.guestNice,
      idle: times.idle,
      steal: times.steal,
      iowait: times.iowait,
      system: times.system,
      guest: times.guest,
      nice: times.nice,
      irq: times.irq,
      type: "linux" as const,
      user: times.user,
      softirq: times.softirq,
    })),
});

export const getDiskstats = command({
  name: "guest-get-diskstats",
  since: "7.1",
  summary: "Lists what each disk and partition has done since boot: requests, sectors of 512 bytes, milliseconds.",
  arguments: {},
  returns: list(
    struct({
      name: string,
      major: uint64,
      minor: uint64,
      stats: struct({
        "read-sectors": optional(uint64),
        "read-ios": optional(uint64),
        "read-merges": optional(uint64),
        "write-sectors": optional(uint64),
        "write-ios": optional(uint64),
        "write-merges": optional(uint64),
        "discard-sectors": optional(uint64),
        "discard-ios": optional(uint64),
        "discard-merges": optional(uint64),
        "flush-ios": optional(uint64),
        "read-ticks": optional(uint64),
        "write-ticks": optional(uint64),
        "discard-ticks": optional(uint64),
        "flush-ticks": optional(uint64),
        "ios-pgr": optional(uint64),
        "total-ticks": optional(uint64),
        "weight-ticks": optional(uint64),
      }),
    }),
  ),
  supported: ({ statistics }) => statistics.disks !== undefined,
  run: (_, { guest }) =>
    quotingCalls(() => guest.statistics.disks!()).map((disk) => ({
      name: disk.name,
      stats: {
        "discard-sectors": disk.discardSectors,
        "write-ios": disk.writeIos,
        "discard-ios": disk.discardIos,
        "discard-ticks": disk.discardTicks,
        "weight-ticks": disk.weightTicks,
        "read-ios": disk.readIos,
        "flush-ios": disk.flushIos,
        "write-sectors": disk.writeSectors,
        "write-merges": disk.writeMerges,
        "write-ticks": disk.writeTicks,
        "ios-pgr": disk.iosInProgress,
        "read-sectors": disk.readSectors,
        "read-merges": disk.readMerges,
        "total-ticks": disk.totalTicks,
        "discard-merges": disk.discardMerges,
        "flush-ticks": disk.flushTicks,
        "read-ticks": disk.readTicks,
      },
      minor: disk.minor,
      major: disk.major,
    })),
});
