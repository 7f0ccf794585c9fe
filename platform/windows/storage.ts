/** Volumes and disks. */
import {
  type Disk,
  type DiskAddress,
  type Filesystem,
  runProgram,
  type Storage,
  SystemError,
  type TrimResult,
} from "../../src/guest.ts";
import { DISK_INTERFACE, mapInterfaces } from "./device-tree.ts";
import { diskAddress, diskNumber, volumeDisks } from "./disk-facts.ts";
import { check, ERROR, lastError } from "./errors.ts";
import { kernel32 } from "./kernel32.ts";
import { processes } from "./processes.ts";
import { fromWide, fromWideList, wide, wideRoom } from "./wide.ts";

const DRIVE_FIXED = 3;
const VOLUME_NAME_ROOM = 256;
const FILESYSTEM_NAME_ROOM = 64;
const FILE_READ_ONLY_VOLUME = 0x00080000;

/** A volume's name `\\?\Volume{GUID}\` and the paths at which it is mounted, perhaps none. */
export interface Volume {
  readonly name: string;
  readonly paths: readonly string[];
}

function pathsOf(volume: string): string[] | undefined {
  const size = new Uint32Array(1);
  kernel32.GetVolumePathNamesForVolumeNameW(wide(volume), null, 0, size);
  if (lastError() !== ERROR.MORE_DATA) return undefined;
  const names = wideRoom(size[0] ?? 0);
  const got = kernel32.GetVolumePathNamesForVolumeNameW(wide(volume), names, size[0] ?? 0, size);
  return got === 0 ? undefined : fromWideList(names);
}

/** Every volume that Windows knows. @throws SystemError */
export function listVolumes(): Volume[] {
  const name = wideRoom(VOLUME_NAME_ROOM);
  const search = check(kernel32.FindFirstVolumeW(name, VOLUME_NAME_ROOM), "FindFirstVolumeW");
  try {
    const volumes: Volume[] = [];
    do {
      const found = fromWide(name);
      const paths = pathsOf(found);
      if (paths !== undefined) volumes.push({ name: found, paths });
    } while (kernel32.FindNextVolumeW(search, name, VOLUME_NAME_ROOM) !== 0);
    return volumes;
  } finally {
    kernel32.FindVolumeClose(search);
  }
}

export const isFixed = ({ name, paths }: Volume): boolean =>
  kernel32.GetDriveTypeW(wide(paths[0] ?? name)) === DRIVE_FIXED;

/** Gives undefined instead of a SystemError. */
function ifPossible<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}

const driveName = (number: number): string => `\\\\.\\PhysicalDrive${number}`;

function disksOf(volume: Volume): DiskAddress[] {
  const numbers = ifPossible(() => volumeDisks(volume.name));
  // A CD or a share is its own device.
  const found = numbers?.map((number) => ifPossible(() => diskAddress(driveName(number), number))) ?? [
    ifPossible(() => diskAddress(volume.name.replace(/\\$/, ""), undefined)),
  ];
  return found.filter((address) => address !== undefined);
}

function filesystemOf(volume: Volume): Filesystem | undefined {
  const type = wideRoom(FILESYSTEM_NAME_ROOM);
  const flags = new Uint32Array(1);
  const got = kernel32.GetVolumeInformationW(wide(volume.name), null, 0, null, null, flags, type, FILESYSTEM_NAME_ROOM);
  // A drive without a disk in it.
  if (got === 0) return undefined;
  const [path] = volume.paths;
  const sizes = path === undefined ? undefined : sizesOf(path);
  return {
    name: volume.name,
    mountpoint: path ?? "System Reserved",
    type: fromWide(type),
    ...sizes,
    readOnly: ((flags[0] ?? 0) & FILE_READ_ONLY_VOLUME) !== 0,
    disks: disksOf(volume),
  };
}

function sizesOf(path: string): { readonly usedBytes: bigint; readonly totalBytes: bigint } | undefined {
  const [available, total, free] = [new BigUint64Array(1), new BigUint64Array(1), new BigUint64Array(1)];
  if (kernel32.GetDiskFreeSpaceExW(wide(path), available, total, free) === 0) return undefined;
  const totalBytes = total[0] ?? 0n;
  return { usedBytes: totalBytes - (free[0] ?? 0n), totalBytes };
}

function diskOf(path: string | undefined): Disk | undefined {
  const number = path === undefined ? undefined : ifPossible(() => diskNumber(path));
  if (number === undefined) return undefined;
  const name = driveName(number);
  return { name, partition: false, address: ifPossible(() => diskAddress(name, number)) };
}

/** defrag.exe ends with 0 whatever happens; a line with a code in it tells of a failure. */
export const defragFailure = (output: string): string | undefined =>
  output
    .replaceAll("\0", "")
    .split(/\r?\n/)
    .find((line) => line.includes("(0x"));

async function trimVolume(path: string): Promise<TrimResult> {
  try {
    const error = defragFailure(await runProgram(processes, ["defrag.exe", "/L", path]));
    return error === undefined ? { path } : { path, error };
  } catch (error) {
    return { path, error: error instanceof Error ? error.message : String(error) };
  }
}

export const storage: Storage = {
  filesystems: () =>
    listVolumes()
      .map(filesystemOf)
      .filter((filesystem) => filesystem !== undefined),
  disks: () => mapInterfaces(DISK_INTERFACE, (_, path) => diskOf(path)).filter((disk) => disk !== undefined),
  async trim(_minimum, mayGoOn) {
    const results: TrimResult[] = [];
    for (const volume of listVolumes().filter(isFixed)) {
      const [path] = volume.paths;
      if (path === undefined) continue;
      results.push(mayGoOn() ? await trimVolume(path) : { path, error: "filesystems are frozen" });
    }
    return results;
  },
};
