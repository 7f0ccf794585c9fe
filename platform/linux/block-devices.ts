/** Block devices as sysfs and the udev database describe them. */
import { readlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Disk, DiskAddress } from "../../src/guest.ts";
import { type Place, placeOf } from "./disk-address.ts";
import { readNvmeSmart } from "./nvme-smart.ts";
import { listNames, namesIn, readProperties, readText } from "./sysfs.ts";

/** A disk's or partition's canonical directory, without the root: `/sys/devices/...`. */
type Syspath = string;

const UNKNOWN_PLACE: Place = {
  busType: "unknown",
  pci: { domain: -1, bus: -1, slot: -1, function: -1 },
  bus: 0,
  target: 0,
  unit: 0,
};

/** @param link a symbolic link of sysfs, without the root: they all lead straight to the device; undefined when there is none */
function syspathOf(root: string, link: string): Syspath | undefined {
  try {
    return join(dirname(link), readlinkSync(root + link));
  } catch {
    return undefined;
  }
}

const nonEmpty = (text: string | undefined): string | undefined => (text === "" ? undefined : text);

interface Names {
  /** The device node; undefined when it has none. */
  readonly node: string | undefined;
  /** A property (ID_SERIAL, DM_NAME) in udev's database; undefined where no udev runs. */
  udev(property: string): string | undefined;
}

function namesOf(root: string, device: Syspath): Names {
  const uevent = readProperties(`${root}${device}/uevent`);
  const name = uevent?.get("DEVNAME");
  const numbers = `${uevent?.get("MAJOR")}:${uevent?.get("MINOR")}`;
  let properties: ReturnType<typeof readProperties> | null = null;
  return {
    node: name === undefined ? undefined : `/dev/${name}`,
    udev(property) {
      if (properties === null) properties = readProperties(`${root}/run/udev/data/b${numbers}`, "E:");
      return nonEmpty(properties?.get(property));
    },
  };
}

const isVirtual = (device: Syspath): boolean => device.includes("/devices/virtual/block/");

function addressOf(root: string, device: Syspath, { node, udev } = namesOf(root, device)): DiskAddress | undefined {
  const place = placeOf(root, device);
  const serial = udev("ID_SERIAL");
  if (place === undefined && serial === undefined && node === undefined) return undefined;
  return { ...(place ?? UNKNOWN_PLACE), serial, dev: node };
}

/** The devices that a virtual one (dm, md) lies on directly. */
function slavesOf(root: string, device: Syspath): Syspath[] | undefined {
  return namesIn(`${root}${device}/slaves`)
    ?.map((name) => syspathOf(root, `${device}/slaves/${name}`))
    .filter((slave) => slave !== undefined);
}

function addressesBelow(root: string, device: Syspath): DiskAddress[] {
  if (isVirtual(device)) return (slavesOf(root, device) ?? []).flatMap((slave) => addressesBelow(root, slave));
  const address = addressOf(root, device);
  return address === undefined ? [] : [address];
}

/**
 * The kernel's name of a device by its numbers, and the disks it lies on in the end.
 * @param root stands before `/sys` and `/run`, for tests
 * @returns the numbers as the name when sysfs does not show the device
 */
export function disksOfDevice(
  root: string,
  major: number,
  minor: number,
): { readonly name: string; readonly disks: readonly DiskAddress[] } {
  const device = syspathOf(root, `/sys/dev/block/${major}:${minor}`);
  if (device === undefined) return { name: `${major}:${minor}`, disks: [] };
  return { name: basename(device), disks: addressesBelow(root, device) };
}

function diskOf(root: string, device: Syspath, name: string, names: Names): Disk {
  const address = isVirtual(device) ? undefined : addressOf(root, device, names);
  return {
    name,
    partition: false,
    address,
    alias: names.udev("DM_NAME"),
    dependencies: slavesOf(root, device)
      ?.map((slave) => namesOf(root, slave).node)
      .filter((node) => node !== undefined),
    smart: address?.busType === "nvme" ? readNvmeSmart(name) : undefined,
  };
}

/** `sda1` of `sda`, `nvme0n1p1` of `nvme0n1`. */
const isPartitionName = (name: string, disk: string): boolean =>
  name.startsWith(disk) && /^p?\d/.test(name.slice(disk.length));

function partitionsOf(root: string, device: Syspath, disk: string, node: string): Disk[] {
  return (namesIn(root + device) ?? [])
    .filter((name) => isPartitionName(name, disk))
    .map((name) => namesOf(root, `${device}/${name}`).node)
    .filter((name) => name !== undefined)
    .map((name) => ({ name, partition: true, dependencies: [node] }));
}

/**
 * All block devices of non-zero size that have a device node, each followed by its partitions, in the kernel's order.
 * @param root stands before `/sys` and `/run`, for tests
 * @throws SystemError when sysfs is not there
 */
export function listDisks(root = ""): Disk[] {
  return listNames(`${root}/sys/block`).flatMap((name) => {
    const size = readText(`${root}/sys/block/${name}/size`);
    const device = size === undefined || size === "0" ? undefined : syspathOf(root, `/sys/block/${name}`);
    if (device === undefined) return [];
    const names = namesOf(root, device);
    if (names.node === undefined) return [];
    return [diskOf(root, device, names.node, names), ...partitionsOf(root, device, name, names.node)];
  });
}
