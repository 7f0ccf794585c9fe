/** Filesystems and disks. The agent of QEMU lists what it finds last first, and so do these. */
import type { BusType, Disk, DiskAddress } from "../../../guest.ts";
import { command } from "../command.ts";
import { boolean, enumeration, int64, list, optional, string, struct, uint64 } from "../wire.ts";
import { nvmeSmart, toNvmeSmart } from "./nvme-smart.ts";

const BUS_TYPES = [
  "ide",
  "fdc",
  "scsi",
  "virtio",
  "xen",
  "usb",
  "uml",
  "sata",
  "sd",
  "unknown",
  "ieee1394",
  "ssa",
  "fibre",
  "raid",
  "iscsi",
  "sas",
  "mmc",
  "virtual",
  "file-backed-virtual",
  "nvme",
] as const satisfies readonly BusType[];

const diskAddress = struct({
  "pci-controller": struct({ domain: int64, bus: int64, slot: int64, function: int64 }),
  "bus-type": enumeration(BUS_TYPES),
  bus: int64,
  target: int64,
  unit: int64,
  serial: optional(string),
  dev: optional(string),
  "ccw-address": optional(struct({ cssid: int64, ssid: int64, subchno: int64, devno: int64 })),
});

const toDiskAddress = ({ ccw, serial, busType, bus, unit, pci, dev, target }: DiskAddress) => ({
  "ccw-address": ccw && { cssid: ccw.cssid, ssid: ccw.ssid, subchno: ccw.subchno, devno: ccw.devno },
  serial,
  "bus-type": busType,
  bus,
  unit,
  "pci-controller": { bus: pci.bus, slot: pci.slot, domain: pci.domain, function: pci.function },
  dev,
  target,
});

export const getFsinfo = command({
  name: "guest-get-fsinfo",
  since: "2.2",
  summary: "Lists the mounted filesystems that lie on disks, with their sizes in bytes and where those disks hang.",
  arguments: {},
  returns: list(
    struct({
      name: string,
      mountpoint: string,
      type: string,
      "used-bytes": optional(uint64),
      "total-bytes": optional(uint64),
      "total-bytes-privileged": optional(uint64),
      disk: list(diskAddress),
    }),
  ),
  supported: ({ storage }) => storage !== undefined,
  run: (_, { guest }) =>
    guest
      .storage!.filesystems()
      .toReversed()
      .map((filesystem) => ({
        name: filesystem.name,
        "total-bytes": filesystem.totalBytes,
        "total-bytes-privileged": filesystem.totalBytesPrivileged,
        mountpoint: filesystem.mountpoint,
        disk: filesystem.disks.toReversed().map(toDiskAddress),
        "used-bytes": filesystem.usedBytes,
        type: filesystem.type,
      })),
});

const toDisk = ({ name, smart, dependencies, partition, address, alias }: Disk) => ({
  name,
  smart: smart && toNvmeSmart(smart),
  dependencies: dependencies?.toReversed(),
  partition,
  address: address && toDiskAddress(address),
  alias,
});

export const getDisks = command({
  name: "guest-get-disks",
  since: "5.2",
  summary: "Lists the disks and partitions, what each of them lies on, and the health of NVMe disks.",
  arguments: {},
  returns: list(
    struct({
      name: string,
      partition: boolean,
      dependencies: optional(list(string)),
      address: optional(diskAddress),
      alias: optional(string),
      smart: optional(nvmeSmart),
    }),
  ),
  supported: ({ storage }) => storage !== undefined,
  run: (_, { guest }) => guest.storage!.disks().toReversed().map(toDisk),
});

export const fstrim = command({
  name: "guest-fstrim",
  since: "1.2",
  summary:
    "Discards the unused blocks of each filesystem that guest-get-fsinfo lists; free extents of fewer than `minimum` " +
    "bytes (0 when left out) may stay.",
  arguments: { minimum: optional(int64) },
  returns: struct({
    paths: list(struct({ path: string, trimmed: optional(int64), minimum: optional(int64), error: optional(string) })),
  }),
  supported: ({ storage }) => storage !== undefined,
  async run({ minimum = 0 }, { guest, freeze }) {
    const results = await guest.storage!.trim(BigInt(minimum), () => !freeze.frozen);
    const paths = results.toReversed().map(({ path, trimmed, minimum, error }) => ({ minimum, path, trimmed, error }));
    return { paths };
  },
});
