/**
 * Small Debian systems with the packages that a test wants: as a folder for chroot(8), or as the disk of a VM, with
 * systemd or another init:
 *
 *     await using vm = await startVm(await debianGuest(await debianDisk(["cloud-init"])));
 *     await vm.guest("systemctl is-system-running --wait");
 *
 * They are made by mmdebstrap(1) once and cached.
 */

import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { debianMirror, osRelease } from "../lab/apt.ts";
import { cachedFolder } from "../lab/cache.ts";
import { mustRun } from "../lab/process.ts";
import { DEBIAN_INITS, type DebianInitName } from "./debian-inits.ts";
import { baseImage, vmPackages } from "./image.ts";
import type { VmOptions } from "./vm.ts";

/** Debian packages that {@link debianRoot} needs on this machine. */
export const debianRootPackages: readonly string[] = ["mmdebstrap", "debian-archive-keyring"];

/** Debian packages that {@link debianDisk} needs on this machine. */
export const debianDiskPackages: readonly string[] = [...vmPackages, ...debianRootPackages];

const FILES = join(import.meta.dir, "debian");
/** The size of the disk; what is not written takes no room. */
const DISK = "4G";
const LIMIT_MS = 900_000;

const digest = (...parts: readonly string[]): string =>
  createHash("sha256").update(parts.join("\0")).digest("hex").slice(0, 12);

/**
 * A minimal Debian of this machine's release (variant minbase) with more packages, without those that they recommend.
 * No service is started while it is made.
 * @returns its folder, which other tests use too: nothing may be written there
 */
export async function debianRoot(packages: readonly string[]): Promise<string> {
  const { VERSION_CODENAME: release = "" } = await osRelease();
  const key = digest(release, ...[...packages].sort());
  const folder = await cachedFolder(`debian-${key}`, async (draft) => {
    const include = packages.length === 0 ? [] : [`--include=${packages.join(",")}`];
    const options = ["--quiet", "--variant=minbase", "--mode=root", '--aptopt=APT::Install-Recommends "false"'];
    await mustRun(["mmdebstrap", ...options, ...include, release, join(draft, "root"), await debianMirror()], {
      timeoutMs: LIMIT_MS,
    });
  });
  return join(folder, "root");
}

/**
 * The same as an ext4 filesystem for a VM, with the kernel's modules, the test's shell and no timers of apt. It has the
 * label `root` and no password for anybody.
 * @param packages more than `udev`, `kmod` and those of the init
 * @param files what else is in it, by path
 * @returns the file of the disk, which other tests use too: {@link debianGuest} does not write into it
 */
export async function debianDisk(
  packages: readonly string[] = [],
  files: Readonly<Record<string, string>> = {},
  initName: DebianInitName = "systemd",
): Promise<string> {
  const init = DEBIAN_INITS[initName];
  const root = await debianRoot(["udev", "kmod", ...init.packages, ...packages]);
  const { vmlinuz, release } = await baseImage();
  const own = await Promise.all(
    [
      import.meta.path,
      ...["init", "wait-for-ports", "start-shell", "lab-shell.service"].map((name) => join(FILES, name)),
    ].map((path) => Bun.file(path).text()),
  );
  const folder = await cachedFolder(
    `debian-disk-${digest(root, release, JSON.stringify(files), init.setUp, ...own)}`,
    async (draft) => {
      const copy = join(draft, "root");
      await mustRun(["cp", "-a", root, copy], { timeoutMs: LIMIT_MS });
      const within = (...path: readonly string[]): string => join(copy, ...path);
      await mustRun(["mkdir", "-p", within("lab/run")]);
      await mustRun(["cp", "-a", join(dirname(vmlinuz), "lib/modules"), within("usr/lib")]);
      const scripts = [join(import.meta.dir, "guest/shell"), join(FILES, "wait-for-ports"), join(FILES, "start-shell")];
      await mustRun(["install", "-m755", ...scripts, within("lab")]);
      await mustRun(["sh", "-ec", init.setUp], { cwd: copy, env: { FILES } });
      for (const [path, content] of Object.entries(files)) await Bun.write(within(path), content);
      const disk = join(draft, "root.img");
      await mustRun(["truncate", "-s", DISK, disk]);
      await mustRun(["mkfs.ext4", "-q", "-F", "-L", "root", "-d", copy, disk], { timeoutMs: LIMIT_MS });
      await mustRun(["rm", "-rf", copy]);
    },
  );
  return join(folder, "root.img");
}

/**
 * Options for a VM that boots from such a disk. What it writes there is gone with the VM.
 * @param disk of {@link debianDisk}, or a copy of it
 * @param keep the VM writes into `disk` itself: a second VM then finds what the first one left
 */
export async function debianGuest(
  disk: string,
  { keep = false }: { readonly keep?: boolean } = {},
): Promise<Required<Pick<VmOptions, "files" | "extraArgs" | "kernelArgs" | "bootTimeoutMs">>> {
  const drive = `file=${disk},id=drive-root,if=none,format=raw,discard=unmap,snapshot=${keep ? "off" : "on"}`;
  return {
    files: [{ from: join(FILES, "init"), to: "/init" }],
    extraArgs: ["-drive", drive, "-device", "virtio-blk-pci,drive=drive-root,serial=root,id=disk-root"],
    kernelArgs: "systemd.show_status=false",
    bootTimeoutMs: 180_000,
  };
}
