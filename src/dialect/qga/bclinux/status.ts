/** What BCLinux hosts watch: memory, system, processes, disks. */
import * as v from "valibot";
import { topTable } from "../../../capability/top.ts";
import type { Filesystem, Guest } from "../../../guest.ts";
import { command } from "../command.ts";
import { boolean, enumeration, int64, optional, string, struct } from "../wire.ts";

const KIB_PER_MIB = 1024;
const BYTES_PER_MIB = 1024n * 1024n;

/** Whole MiB: each figure is cut before they are subtracted from each other, as the agent for BCLinux does. */
const mebibytes = (kibibytes: number): number => Math.floor(kibibytes / KIB_PER_MIB);

export const getMemoryStatus = command({
  name: "guest-get-memory-status",
  since: "bclinux",
  summary: "Returns the use of memory and swap space in MiB; `used` is all that is not free, with buffers and cache.",
  arguments: {},
  returns: struct({
    total: int64,
    used: int64,
    buffer: int64,
    cached: int64,
    swap: struct({ total: int64, used: int64 }),
  }),
  run: (_, { guest }) => {
    const { total, free, buffers, cached, swapTotal, swapFree } = guest.statistics.memory();
    return {
      total: mebibytes(total),
      used: mebibytes(total) - mebibytes(free),
      buffer: mebibytes(buffers),
      cached: mebibytes(cached),
      swap: { total: mebibytes(swapTotal), used: mebibytes(swapTotal) - mebibytes(swapFree) },
    };
  },
});

const OS_NAMES: Readonly<Record<Guest["os"], string>> = { linux: "Linux", windows: "Windows" };

export const getSystemInfo = command({
  name: "guest-get-system-info",
  since: "bclinux",
  summary:
    "Returns the kernel's name, release and version, the full host name and the last login; what is not known is empty.",
  arguments: {},
  returns: struct({
    "os-name": string,
    "kernel-version": string,
    "system-version": string,
    fqdn: string,
    lastlogin: string,
  }),
  run: (_, { guest }) => {
    const { kernelRelease = "", kernelVersion = "" } = guest.identity.osInfo();
    return {
      "os-name": OS_NAMES[guest.os],
      "kernel-version": kernelRelease,
      "system-version": kernelVersion,
      fqdn: guest.identity.fqdn(),
      lastlogin: guest.accounts?.lastLogin() ?? "",
    };
  },
});

export const getOomStatus = command({
  name: "guest-get-oom-status",
  since: "bclinux",
  summary: "Tells, as text, whether a process was killed for want of memory since boot.",
  arguments: {},
  returns: struct({ "oom-happened": enumeration(["true", "false"]) }),
  run: (_, { guest }) => ({ "oom-happened": guest.statistics.memory().oomKills > 0 ? "true" : "false" }),
});

export const getAppStatus = command({
  name: "guest-get-app-status",
  since: "bclinux",
  summary: "Returns the running processes as `top -b -n 1` prints them; %CPU is since the start of each process.",
  arguments: {},
  returns: struct({ appStatus: string }),
  supported: ({ statistics }) => statistics.processes !== undefined,
  run: (_, { guest }) => ({ appStatus: topTable(guest) }),
});

const wholeMebibytes = (bytes: bigint | undefined): number | undefined =>
  bytes === undefined ? undefined : Number(bytes / BYTES_PER_MIB);

const diskEntry = ({ totalBytesPrivileged, usedBytes, readOnly }: Filesystem) => ({
  total: wholeMebibytes(totalBytesPrivileged),
  used: wholeMebibytes(usedBytes),
  writable: !readOnly,
});

export const getDiskStatus = command({
  name: "guest-get-disk-status",
  since: "bclinux",
  summary: "Returns, by mount point, size and use of the filesystems on disks in MiB, and whether they take writes.",
  arguments: {},
  returns: v.record(string, struct({ total: optional(int64), used: optional(int64), writable: boolean })),
  supported: ({ storage }) => storage !== undefined,
  run: (_, { guest }) =>
    Object.fromEntries(
      guest.storage!.filesystems().map((filesystem) => [filesystem.mountpoint, diskEntry(filesystem)]),
    ),
});
