/** Which filesystems hold the files that loop devices are made of (loop(4)). */
import { cstring, libc } from "./libc.ts";
import { blockMounts, type Mount } from "./mounts.ts";
import { namesIn, readProperties, readText } from "./sysfs.ts";

const O_RDONLY = 0;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

const LOOP_GET_STATUS64 = 0x4c05;
/** struct loop_info64; lo_device, its first member, is the file's st_dev in the kernel's encoding. */
const LOOP_INFO_SIZE = 232;

export interface DeviceNumbers {
  readonly major: number;
  readonly minor: number;
}

/** new_encode_dev() of <linux/kdev_t.h>, which huge_encode_dev() is. */
const decodeDevice = (device: bigint): DeviceNumbers => ({
  major: Number((device >> 8n) & 0xfffn),
  minor: Number((device & 0xffn) | ((device >> 12n) & 0xfff00n)),
});

/** The device of the filesystem that holds a loop device's file, as the loop driver tells. */
function askLoopDevice(node: string): DeviceNumbers | undefined {
  const fd = libc.open(cstring(node), O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
  if (fd < 0) return undefined;
  const info = Buffer.alloc(LOOP_INFO_SIZE);
  const result = libc.ioctl(fd, LOOP_GET_STATUS64, info);
  libc.close(fd);
  return result === 0 ? decodeDevice(info.readBigUInt64LE(0)) : undefined;
}

/** The mount that a path leads to; of those on one mountpoint the last, which hides the others. */
function mountOfPath(path: string, table: readonly Mount[]): Mount | undefined {
  const within = ({ mountpoint }: Mount) => mountpoint === "/" || `${path}/`.startsWith(`${mountpoint}/`);
  return table
    .filter(within)
    .reduce<Mount | undefined>(
      (best, mount) => (best === undefined || mount.mountpoint.length >= best.mountpoint.length ? mount : best),
      undefined,
    );
}

/** A line of the mount table with a device as that device; btrfs files have other numbers, so that their path decides. */
function holderOf(node: string, path: string, table: readonly Mount[]): DeviceNumbers | undefined {
  const device = askLoopDevice(node);
  const named = table.find(({ major, minor }) => major === device?.major && minor === device.minor);
  const mount = named ?? mountOfPath(path, table);
  return mount === undefined ? undefined : blockMounts([mount])[0];
}

/** The devices of the filesystems which hold files that the device in this directory of sysfs lies in. */
function below(directory: string, table: readonly Mount[]): DeviceNumbers[] {
  const file = readText(`${directory}/loop/backing_file`);
  if (file !== undefined) {
    const holder = holderOf(`/dev/${readProperties(`${directory}/uevent`)?.get("DEVNAME")}`, file, table);
    return holder === undefined ? [] : [holder];
  }
  if (readText(`${directory}/partition`) !== undefined) return below(`${directory}/..`, table);
  return (namesIn(`${directory}/slaves`) ?? []).flatMap((name) => below(`${directory}/slaves/${name}`, table));
}

/**
 * The devices of the filesystems which hold the files that a mount's device is made of: through partitions, dm and md
 * down to loop devices. It is empty for most mounts.
 * @param table all mounts
 */
export const backingDevices = ({ major, minor }: Mount, table: readonly Mount[]): DeviceNumbers[] =>
  below(`/sys/dev/block/${major}:${minor}`, table);
