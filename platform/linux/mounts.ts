/** The mount table (proc_pid_mountinfo(5)). */
import { readFileSync, statSync } from "node:fs";
import { throwingSystemErrors } from "./sysfs.ts";

/** One line of the mount table. */
export interface Mount {
  /** The device's numbers; major 0 is a filesystem without one (tmpfs, nfs, btrfs). */
  readonly major: number;
  readonly minor: number;
  /** What of the filesystem is mounted: `/`, the directory of a bind mount, a subvolume. */
  readonly root: string;
  /** As text; bytes that are not UTF-8 are U+FFFD. */
  readonly mountpoint: string;
  /** The same path as the kernel knows it, ended by NUL, to be passed to a call. */
  readonly path: Uint8Array;
  readonly type: string;
  /** Mostly `/dev/...`, as text. */
  readonly source: string;
  /** The mount or the filesystem below it takes no writes. */
  readonly readOnly: boolean;
}

/** Characters that the kernel writes as backslash and three octal digits: space, tab, newline, backslash, `#`. */
const unescapeOctal = (field: string): string =>
  field.includes("\\")
    ? field.replace(/\\([0-3][0-7]{2})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8)))
    : field;

/** A field as bytes: the table is read as latin1, in which each character is one byte. */
const fieldBytes = (field: string, ending = ""): Buffer => Buffer.from(unescapeOctal(field) + ending, "latin1");

const fieldText = (field: string): string => fieldBytes(field).toString("utf8");

const hasFlag = (options: string, flag: string): boolean => options.split(",").includes(flag);

function parseMount(line: string): Mount | undefined {
  const fields = line.split(" ");
  const [, , device = "", root = "", mountpoint = "", options = ""] = fields;
  const [, major, minor] = /^(\d+):(\d+)$/.exec(device) ?? [];
  // Optional fields come before the dash, and none of them is a dash.
  const dash = fields.indexOf("-", 6);
  const [type, source, superOptions = ""] = fields.slice(dash + 1);
  if (major === undefined || minor === undefined || dash < 0 || type === undefined || source === undefined) return;
  return {
    major: Number(major),
    minor: Number(minor),
    root: fieldText(root),
    mountpoint: fieldText(mountpoint),
    path: fieldBytes(mountpoint, "\0"),
    type: fieldText(type),
    source: fieldText(source),
    readOnly: hasFlag(options, "ro") || hasFlag(superOptions, "ro"),
  };
}

/** Whether a line may be one of a filesystem with a block device; quicker than reading all of it. */
function mayHaveDevice(line: string): boolean {
  const afterParent = line.indexOf(" ", line.indexOf(" ") + 1) + 1;
  return !line.startsWith("0:", afterParent) || line.includes(" - btrfs ");
}

/**
 * The lines of a mount table, in its order; lines that are none are left out.
 * @param wanted tells which lines to look at
 */
export function parseMounts(table: Uint8Array, wanted: (line: string) => boolean = () => true): Mount[] {
  return Buffer.from(table.buffer, table.byteOffset, table.byteLength)
    .toString("latin1")
    .split("\n")
    .filter(wanted)
    .map(parseMount)
    .filter((mount) => mount !== undefined);
}

function readTable(root: string): Uint8Array {
  const path = `${root}/proc/self/mountinfo`;
  return throwingSystemErrors("open", path, () => readFileSync(path));
}

/**
 * All mounts of the agent's namespace in the order of the table, where a mount comes after the one it lies on.
 * @param root stands before `/proc`, for tests
 * @throws SystemError when there is no /proc
 */
export function readMounts(root = ""): Mount[] {
  return parseMounts(readTable(root));
}

/** `blockMounts` of `readMounts`, without reading the lines of all the others. @throws SystemError */
export function readBlockMounts(root = ""): Mount[] {
  return blockMounts(parseMounts(readTable(root), mayHaveDevice));
}

/**
 * The mounts that have a block device below them, once for each device: the first in the table.
 *
 * The mount table gives btrfs an anonymous device, because it may span several: its numbers are those of the device
 * that was named when it was mounted.
 */
export function blockMounts(mounts: readonly Mount[]): Mount[] {
  const found = new Map<string, Mount>();
  for (const mount of mounts) {
    const block = mount.major === 0 ? onNamedDevice(mount) : mount;
    if (block === undefined) continue;
    const key = `${block.major}:${block.minor}`;
    if (!found.has(key)) found.set(key, block);
  }
  return [...found.values()];
}

function onNamedDevice(mount: Mount): Mount | undefined {
  if (mount.type !== "btrfs") return undefined;
  const device = blockDeviceNumbers(mount.source);
  return device === undefined ? undefined : { ...mount, ...device };
}

function blockDeviceNumbers(path: string): { readonly major: number; readonly minor: number } | undefined {
  try {
    const stat = statSync(path);
    return stat.isBlockDevice() ? splitDevice(BigInt(stat.rdev)) : undefined;
  } catch {
    return undefined;
  }
}

/** Takes a dev_t apart as glibc and musl do (makedev(3)). */
const splitDevice = (device: bigint) => ({
  major: Number(((device >> 32n) & 0xfffff000n) | ((device >> 8n) & 0xfffn)),
  minor: Number(((device >> 12n) & 0xffffff00n) | (device & 0xffn)),
});
