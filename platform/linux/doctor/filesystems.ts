/** What a freeze needs: filesystems that can be frozen, the hook, and the directory of the agent's state. */
import { accessSync, constants, statSync } from "node:fs";
import type { Finding, Patient } from "../../../src/guest.ts";
import { exists } from "../files.ts";
import { blockMounts, readMounts } from "../mounts.ts";

/** Filesystems on disks whose kernel code has no freeze_fs, in Linux 6.12. */
const UNFREEZABLE = new Set([
  "vfat",
  "msdos",
  "exfat",
  "iso9660",
  "udf",
  "squashfs",
  "erofs",
  "ntfs",
  "ntfs3",
  "fuseblk",
  "hfsplus",
  "minix",
]);

/** @param root stands before `/proc`, for tests */
export function examineFilesystems({ freezeMark }: Patient, root = ""): Finding[] {
  const check = "freeze";
  if (exists(`${root}${freezeMark}`)) {
    return [
      {
        check,
        verdict: "fail",
        text: "filesystems are frozen now: most commands are refused until they are thawed",
        fix: "from the host: guest-fsfreeze-thaw; here: fsfreeze -u MOUNTPOINT",
      },
    ];
  }
  const mounts = blockMounts(readMounts(root)).filter(({ readOnly }) => !readOnly);
  const able = mounts.filter(({ type }) => !UNFREEZABLE.has(type));
  const unable = mounts.filter(({ type }) => UNFREEZABLE.has(type));
  const passed =
    unable.length === 0 ? "" : `; ${unable.map(({ mountpoint, type }) => `${mountpoint} (${type})`).join(", ")} cannot`;
  if (able.length === 0) return [{ check, verdict: "warn", text: `no filesystem can be frozen${passed}` }];
  return [
    { check, verdict: "ok", text: `can be frozen: ${able.map(({ mountpoint }) => mountpoint).join(", ")}${passed}` },
  ];
}

const GROUP_OR_OTHERS_WRITE = 0o022;

/** @param root stands before the path of the hook, for tests */
export function examineHook({ fsfreezeHook }: Patient, root = ""): Finding[] {
  const check = "hook";
  if (fsfreezeHook === undefined) return [{ check, verdict: "ok", text: "none is set" }];
  const found = statSync(`${root}${fsfreezeHook}`, { throwIfNoEntry: false });
  if (found === undefined) {
    return [
      {
        check,
        verdict: "fail",
        text: `there is no ${fsfreezeHook}: each freeze fails`,
        fix: "put it there, or unset fsfreeze-hook",
      },
    ];
  }
  if (!found.isFile() || (found.mode & 0o111) === 0) {
    return [
      {
        check,
        verdict: "fail",
        text: `${fsfreezeHook} is not executable: each freeze fails`,
        fix: `chmod 755 ${fsfreezeHook}`,
      },
    ];
  }
  if (found.uid !== 0 || (found.mode & GROUP_OR_OTHERS_WRITE) !== 0) {
    return [
      {
        check,
        verdict: "warn",
        text: `${fsfreezeHook} runs as root, and others than root can change it`,
        fix: `chown root ${fsfreezeHook}; chmod go-w ${fsfreezeHook}`,
      },
    ];
  }
  return [{ check, verdict: "ok", text: fsfreezeHook }];
}

const isWritable = (path: string): boolean => {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
};

/** @param root stands before the path of the directory, for tests */
export function examineState({ statedir }: Patient, root = ""): Finding[] {
  if (isWritable(`${root}${statedir}`)) return [{ check: "state", verdict: "ok", text: `${statedir} can be written` }];
  return [
    {
      check: "state",
      verdict: "fail",
      text: `${statedir} is not there or cannot be written`,
      fix: "create it, or name another one: statedir in the settings",
    },
  ];
}
