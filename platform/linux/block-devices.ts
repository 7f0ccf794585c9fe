/** Block devices as sysfs and the udev database describe them. */
import { realpathSync } from "node:fs";
import { basename } from "node:path";
import type { Disk, DiskAddress } from "../../src/guest.ts";
import { type Place, placeOf } from "./disk-address.ts";
import { readNvmeSmart } from "./nvme-smart.ts";
import { listNames, namesIn, readProperties, readText } from "./sysfs.ts";

/** A disk or partition. */
interface BlockDevice {
  /** Its canonical directory, without the root: `/sys/devices/...`. */
  readonly syspath: string;
  /** The device node; undefined when it has none. */
  readonly node: string | undefined;
  /** What udev knows of it (ID_SERIAL, DM_NAME); undefined where no udev runs. */
  readonly udev: ReadonlyMap<string, string> | undefined;
}

const UNKNOWN_PLACE: Place = {
  busType: "unknown",
  pci: { domain: -1, bus: -1, slot: -1, function: -1 },
  bus: 0,
  target: 0,
  unit: 0,
};

/** @param path any path to the device's directory in sysfs, without the root; undefined when there is none */
function blockDevice(root: string, path: string): BlockDevice | undefined {
  let syspath: string;
  try {
    syspath = realpathSync(root + path).slice(root.length);
  } catch {
    return undefined;
  }
  const uevent = readProperties(`${root}${syspath}/uevent`);
  const name = uevent?.get("DEVNAME");
  const numbers = `${uevent?.get("MAJOR")}:${uevent?.get("MINOR")}`;
  return {
    syspath,
    node: name === undefined ? undefined : `/dev/${name}`,
    udev: readProperties(`${root}/run/udev/data/b${numbers}`, "E:"),
  };
}

const isVirtual = (device: BlockDevice): boolean => device.syspath.includes("/devices/virtual/block/");

const nonEmpty = (text: string | undefined): string | undefined => (text === "" ? undefined : text);

function addressOf(root: string, device: BlockDevice): DiskAddress | undefined {
  const place = placeOf(root, device.syspath);
  const serial = nonEmpty(device.udev?.get("ID_SERIAL"));
  if (place === undefined && serial === undefined && device.node === undefined) return undefined;
  return { ...(place ?? UNKNOWN_PLACE), serial, dev: device.node };
}

/** The devices that a virtual one (dm, md) lies on directly. */
function slavesOf(root: string, device: BlockDevice): BlockDevice[] | undefined {
  return namesIn(`${root}${device.syspath}/slaves`)
    ?.map((name) => blockDevice(root, `${device.syspath}/slaves/${name}`))
    .filter((slave) => slave !== undefined);
}

function addressesBelow(root: string, device: BlockDevice): DiskAddress[] {
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
  const device = blockDevice(root, `/sys/dev/block/${major}:${minor}`);
  if (device === undefined) return { name: `${major}:${minor}`, disks: [] };
  return { name: basename(device.syspath), disks: addressesBelow(root, device) };
}

function diskOf(root: string, device: BlockDevice, name: string): Disk {
  const address = isVirtual(device) ? undefined : addressOf(root, device);
  return {
    name,
    partition: false,
    address,
    alias: nonEmpty(device.udev?.get("DM_NAME")),
    dependencies: slavesOf(root, device)
      ?.map((slave) => slave.node)
      .filter((node) => node !== undefined),
    smart: address?.busType === "nvme" ? readNvmeSmart(name) : undefined,
  };
}

/** `sda1` of `sda`, `nvme0n1p1` of `nvme0n1`. */
const isPartitionName = (name: string, disk: string): boolean =>
  name.startsWith(disk) && /^p?\d/.test(name.slice(disk.length));

function partitionsOf(root: string, disk: string, node: string): Disk[] {
  return (namesIn(`${root}/sys/block/${disk}`) ?? [])
    .filter((name) => isPartitionName(name, disk))
    .map((name) => blockDevice(root, `/sys/block/${disk}/${name}`)?.node)
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
    const device = size === undefined || size === "0" ? undefined : blockDevice(root, `/sys/block/${name}`);
    if (device?.node === undefined) return [];
    return [diskOf(root, device, device.node), ...partitionsOf(root, name, device.node)];
  });
}
