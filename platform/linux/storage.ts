/** Filesystems on disks, and the disks. */
import type { Filesystem, Loop, Storage, TrimResult } from "../../src/guest.ts";
import { disksOfDevice, listDisks } from "./block-devices.ts";
import { trimFilesystem } from "./fstrim.ts";
import { mountUsage } from "./mount-usage.ts";
import { type Mount, readBlockMounts } from "./mounts.ts";
import { usageOf } from "./statvfs.ts";

/** @param root stands before `/proc`, `/sys` and `/run`, for tests */
export function linuxStorage(loop: Loop, root = ""): Storage {
  const nextTurn = (): Promise<void> => new Promise((resolve) => loop.soon(resolve));
  return {
    filesystems: () => readBlockMounts(root).map((mount) => filesystemOf(root, mount)),
    usage: () => mountUsage(root),
    disks: () => listDisks(root),
    async trim(minimum, mayGoOn) {
      const results: TrimResult[] = [];
      for (const { mountpoint, path } of readBlockMounts(root)) {
        if (results.length > 0) await nextTurn();
        const outcome = mayGoOn() ? trimFilesystem(path, minimum) : { error: "failed to trim: filesystems are frozen" };
        results.push({ path: mountpoint, ...outcome });
      }
      return results;
    },
  };
}

function filesystemOf(root: string, { major, minor, mountpoint, path, type, readOnly }: Mount): Filesystem {
  return { ...disksOfDevice(root, major, minor), mountpoint, type, readOnly, ...usageOf(path) };
}
