/** How full each mounted filesystem of this machine is. */
import type { MountUsage } from "../../src/guest.ts";
import { type Mount, readMounts } from "./mounts.ts";
import { usageOf } from "./statvfs.ts";

/** Types whose files another machine or a user's program gives: when that hangs, so does statvfs(3), beyond any signal. */
const ELSEWHERE = /^(nfs\d?|cifs|smb\d?|smbfs|9p|afs|ceph|lustre|gfs2?|ocfs2|glusterfs|ncpfs|davfs|sshfs|fuse(\..*)?)$/;
/** A disk below FUSE. */
const FUSE_ON_DISK = "fuseblk";

const isHere = ({ type }: Mount): boolean => type === FUSE_ON_DISK || !ELSEWHERE.test(type);

/** @param root stands before `/proc`, for tests */
export function mountUsage(root = ""): MountUsage[] {
  return readMounts(root)
    .filter(isHere)
    .flatMap(({ mountpoint, path, type }) => {
      const usage = usageOf(path);
      if (usage === undefined) return [];
      return [{ path: mountpoint, type, totalBytes: usage.totalBytesPrivileged, usedBytes: usage.usedBytes }];
    });
}
