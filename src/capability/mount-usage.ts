/** How full the mounted filesystems are. */
import type { Guest, MountUsage } from "../guest.ts";

/** Types that hold no files of the guest, as the oVirt agent leaves them out. */
export const PSEUDO_FILESYSTEMS: readonly string[] = (
  "rootfs tmpfs autofs cgroup cgroup2 selinuxfs udev mqueue nfsd proc sysfs devtmpfs hugetlbfs rpc_pipefs devpts " +
  "securityfs debugfs tracefs configfs pstore bpf efivarfs binfmt_misc nsfs ramfs fuse.gvfsd-fuse " +
  "fuse.gvfs-fuse-daemon fuse.portal fuse.lxcfs fusectl usbfs"
).split(" ");

/** @param ignored types that are left out; @param zeroSized whether those without any blocks are listed */
export const mountUsage = (guest: Guest, ignored: readonly string[], zeroSized: boolean): MountUsage[] =>
  (guest.storage?.usage?.() ?? []).filter(
    ({ type, totalBytes }) => !ignored.includes(type) && (zeroSized || totalBytes > 0),
  );
