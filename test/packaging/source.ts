/** What install.sh installs from: the executable for this machine, its checksum and the script itself. */

import { copyFile, mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { mustRun } from "../lab/process.ts";
import { compiledAgent } from "../vm/agent.ts";

const packaging = resolve(import.meta.dir, "../../packaging");

/** The name that the executable has in a release. */
export const executableName = "inguest-linux-x64";

/** Makes the folder with install.sh, SHA256SUMS, the executable and the drop-in for its unit. */
export async function makeSource(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await copyFile(join(packaging, "install.sh"), join(folder, "install.sh"));
  await copyFile(join(packaging, "systemd/inguest-restricted.conf"), join(folder, "inguest-restricted.conf"));
  await copyFile(await compiledAgent(), join(folder, executableName));
  await Bun.write(join(folder, "SHA256SUMS"), await mustRun(["sha256sum", executableName], { cwd: folder }));
}

/** The same as an ext4 filesystem in a file, for a VM. */
export async function makeSourceDisk(folder: string): Promise<string> {
  const files = join(folder, "source");
  const disk = join(folder, "source.img");
  await makeSource(files);
  await mustRun(["truncate", "-s", "256M", disk]);
  await mustRun(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-d", files, disk]);
  return disk;
}

/** Options for QEMU that make it a disk of the VM with the serial number `source`. */
export const sourceDiskArgs = (disk: string): string[] => [
  ...["-drive", `file=${disk},id=drive-source,if=none,format=raw,snapshot=on`],
  ...["-device", "virtio-blk-pci,drive=drive-source,serial=source"],
];
