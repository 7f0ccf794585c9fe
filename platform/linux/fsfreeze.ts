/** Freezing filesystems: FIFREEZE and FITHAW of <linux/fs.h> (ioctl_fsfreeze is what fsfreeze(8) uses too). */
import { type Freezer, SystemError } from "../../src/guest.ts";
import { backingDevices } from "./backing-files.ts";
import { EBUSY, EOPNOTSUPP, errno, libc, systemError } from "./libc.ts";
import { blockMounts, type Mount, readMounts } from "./mounts.ts";

const O_RDONLY = 0;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

/** _IOWR('X', 119, int) and _IOWR('X', 120, int) */
const FIFREEZE = 0xc0045877;
const FITHAW = 0xc0045878;

/** An open mountpoint, so that thawing it needs no path, which might lead over something frozen. */
interface Held {
  readonly mountpoint: string;
  readonly fd: number;
}

/**
 * Puts mounts in the order in which they can be frozen: the last mounted first, but in any case a filesystem that
 * lies in a file before the one that holds the file, since freezing it writes to that file.
 * @param mounts in mount order
 * @param holders the mounts that hold files which this one lies in
 */
export function freezeOrder<M>(mounts: readonly M[], holders: (mount: M) => readonly M[]): M[] {
  const lastFirst = mounts.toReversed();
  const liesOn = new Map(lastFirst.map((mount) => [mount, holders(mount)]));
  const ordered = new Set<M>();
  const visited = new Set<M>();
  const visit = (mount: M): void => {
    if (visited.has(mount)) return;
    visited.add(mount);
    for (const other of lastFirst) if (liesOn.get(other)?.includes(mount)) visit(other);
    ordered.add(mount);
  };
  lastFirst.forEach(visit);
  return [...ordered];
}

/** @throws SystemError */
function mountTable(): Mount[] {
  try {
    return readMounts();
  } catch (error) {
    throw new SystemError("read", "EIO", error instanceof Error ? error.message : String(error), "the mount table");
  }
}

/** All filesystems on block devices, each once, in the order in which they can be frozen. @throws SystemError */
function freezableMounts(): Mount[] {
  const table = mountTable();
  const mounts = blockMounts(table);
  return freezeOrder(mounts, (mount) => {
    const devices = backingDevices(mount, table);
    return mounts.filter(({ major, minor }) =>
      devices.some((device) => device.major === major && device.minor === minor),
    );
  });
}

const openMountpoint = ({ path }: Mount): number => libc.open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);

/** @throws SystemError when one cannot be opened; then none stays open */
function holdAll(mounts: readonly Mount[]): Held[] {
  const held: Held[] = [];
  for (const mount of mounts) {
    const fd = openMountpoint(mount);
    if (fd < 0) {
      const code = errno();
      for (const other of held) libc.close(other.fd);
      throw systemError("open", code, mount.mountpoint);
    }
    held.push({ mountpoint: mount.mountpoint, fd });
  }
  return held;
}

/** @returns whether this call froze it: some filesystems cannot be, and some are already. @throws SystemError */
function freezeOne({ mountpoint, fd }: Held): boolean {
  if (libc.ioctl(fd, FIFREEZE, null) === 0) return true;
  const code = errno();
  if (code === EOPNOTSUPP || code === EBUSY) return false;
  throw systemError("freeze", code, mountpoint);
}

/** Thaws and closes. A filesystem that was frozen several times needs as many thaws. @returns whether it was frozen */
function thawOne(fd: number): boolean {
  let thawed = false;
  while (libc.ioctl(fd, FITHAW, null) === 0) thawed = true;
  libc.close(fd);
  return thawed;
}

/** Thaws what is mounted, in reverse of the order of freezing. @returns how many were frozen. @throws SystemError */
function thawMounted(): number {
  let thawed = 0;
  for (const mount of freezableMounts().reverse()) {
    const fd = openMountpoint(mount);
    if (fd >= 0 && thawOne(fd)) thawed++;
  }
  return thawed;
}

/** One freezer for the process: it remembers what it froze. */
export function linuxFreezer(): Freezer {
  /** What was frozen, in that order. While it is open it cannot be unmounted. */
  let held: Held[] = [];

  /** Lets go of mountpoints without thawing what somebody else froze. */
  const release = (): void => {
    for (const { fd } of held) libc.close(fd);
    held = [];
  };

  const thawHeld = (): number => {
    const open = held.reverse();
    held = [];
    return open.filter(({ fd }) => thawOne(fd)).length;
  };

  return {
    async freeze(mountpoints) {
      const mounts = freezableMounts();
      const chosen =
        mountpoints === undefined ? mounts : mounts.filter(({ mountpoint }) => mountpoints.includes(mountpoint));
      held = holdAll(chosen);
      try {
        const frozen = held.filter(freezeOne).length;
        if (frozen === 0) release();
        return frozen;
      } catch (error) {
        thawHeld();
        throw error;
      }
    },

    async thaw() {
      const own = held.length > 0;
      const thawed = thawHeld();
      try {
        return thawed + thawMounted();
      } catch (error) {
        if (own) return thawed;
        throw error;
      }
    },
  };
}

export const freezer: Freezer = linuxFreezer();
