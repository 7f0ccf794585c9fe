/** Installing in a VM, and what that leaves behind. */

import { join } from "node:path";
import { mustRun } from "../lab/process.ts";
import { debianGuest } from "../vm/debian-root.ts";
import type { Vm, VmOptions } from "../vm/vm.ts";
import { sourceDiskArgs } from "./source.ts";

/** The disk of {@link sourceDiskArgs} in the guest. */
export const SOURCE = "/dev/disk/by-id/virtio-source";
/** Emulated, with 100 MiB to read, verify and copy. */
export const INSTALL_MS = 180_000;

/** What a system writes by itself while it runs, starts and stops. */
const RESTLESS = [
  ...["/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/var/log", "/var/lib/systemd", "/lab", "/mnt"],
  ...["/etc/adjtime", "/usr/lib/rc/cache"],
];

/** Every file of the system with its kind, mode, size and target. */
export async function fileList(vm: Vm): Promise<string[]> {
  const without = RESTLESS.map((path) => `-path ${path} -prune -o`).join(" ");
  // The size of a directory is its filesystem's business.
  const list = await vm.guest(`find / ${without} -type d -printf '%y %m %p\\n' -o -printf '%y %m %s %p %l\\n'`, 60_000);
  return list.split("\n").sort();
}

/** What became of the steps of an installation: "done", "as is", "to do". */
export const steps = (output: string): string[] => [
  ...new Set(
    output
      .trimEnd()
      .split("\n")
      .map((line) => line.slice(0, 5).trim()),
  ),
];

/**
 * Options for VMs that boot one after the other from one disk, with the source of an installation as a second one.
 * @param disk of `debianDisk`; a copy of it is made in `folder`
 * @param source of `makeSourceDisk`
 */
export async function lastingGuest(disk: string, source: string, folder: string): Promise<VmOptions> {
  const copy = join(folder, "root.img");
  await mustRun(["cp", "--sparse=always", "--reflink=auto", disk, copy]);
  const { extraArgs, ...guest } = await debianGuest(copy, { keep: true });
  return { ...guest, extraArgs: [...extraArgs, ...sourceDiskArgs(source)] };
}
