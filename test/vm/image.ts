/**
 * The guest's side of a test VM: Debian's cloud kernel and an initramfs of busybox, modules and the scripts in `guest/`.
 * The unchanging part is made once and cached; what a test adds goes into a second archive behind it, which the kernel
 * unpacks over the first. Neither is compressed: under emulation, unpacking costs more than copying.
 */

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { unpackPackages } from "../lab/apt.ts";
import { cachedFolder } from "../lab/cache.ts";
import { type Peer, peerLibraries } from "../lab/peer.ts";
import { mustRun, run } from "../lab/process.ts";
import { type CpioEntry, cpioArchive } from "./cpio.ts";

/** Debian packages that making and running a VM needs. */
export const vmPackages: readonly string[] = [
  "qemu-system-x86",
  "qemu-utils",
  "busybox-static",
  "kmod",
  "xz-utils",
  "xfsprogs",
  "e2fsprogs",
];

/** A kernel and the archive of all that is the same in every guest. */
export interface BaseImage {
  vmlinuz: string;
  /** Kernel release, as in `uname -r`. */
  release: string;
  /** Path of the first, cached part of the initramfs. */
  base: string;
}

/** A file for the guest: copied from this machine or with the content given. */
export interface GuestFile {
  /** Absolute path in the guest. */
  to: string;
  from?: string;
  content?: string | Uint8Array;
  /** Permissions; 0o755 unless told. */
  mode?: number;
}

/** A filesystem that is mounted at boot. */
export interface GuestMount {
  /** The serial number of the virtio disk. */
  serial: string;
  type: string;
  mountpoint: string;
}

/** What one test adds to the base image. */
export interface GuestLayer {
  files?: readonly GuestFile[];
  mounts?: readonly GuestMount[];
  hostname?: string;
  /** Port names to wait for before the agent is started. */
  ports?: readonly string[];
  /** The words of the agent's command line. No agent is started without it. */
  agentCommand?: readonly string[];
  /** Start the agent again whenever it ends. */
  respawnAgent?: boolean;
}

/** Modules in the image, with all that they depend on. The first ones are loaded at boot, the others by need or test. */
const modules: readonly string[] = [
  ...["virtio_pci", "virtio_console", "virtio_blk", "virtio_net"],
  ...["xfs", "loop", "overlay", "fuse", "isofs", "vfat", "nls_cp437", "nls_ascii", "btrfs", "squashfs"],
  ...["vsock", "vmw_vsock_virtio_transport", "vsock_loopback"],
  ...["virtio_scsi", "sd_mod", "sr_mod", "virtio-rng", "virtio_balloon", "qemu_fw_cfg", "crc32c-intel"],
  ...["dm-mod", "dm-snapshot", "md-mod", "raid0", "raid1", "zram"],
  ...["dummy", "veth", "bridge", "bonding", "8021q", "tun", "button", "evdev", "i6300esb"],
];

/** What the cloud kernel has built in, or not at all. */
const hardwareModules: readonly string[] = [
  ...["ext4", "crc32c_generic", "nvme", "ahci", "ata_piix", "sym53c8xx"],
  ...["xhci_pci", "ehci_pci", "uhci_hcd", "usb_storage", "uas"],
];

/** Debian's kernels: `generic` has drivers for much more hardware, and takes longer to fetch and to boot. */
export type KernelName = "cloud" | "generic";

const kernels: Readonly<Record<KernelName, { package: string; modules: readonly string[] }>> = {
  cloud: { package: "linux-image-cloud-amd64", modules },
  generic: { package: "linux-image-amd64", modules: [...modules, ...hardwareModules] },
};

const scripts = join(import.meta.dir, "guest");

/** Makes or finds the part of the image that is common to all tests. */
export async function baseImage(kernel: KernelName = "cloud"): Promise<BaseImage> {
  const folder = await kernelFolder(kernel);
  const release = await onlyFolderIn(join(folder, "lib/modules"));
  const own = await Promise.all((await scriptFiles()).map((file) => Bun.file(file.from).text()));
  const version = createHash("sha256")
    .update([release, ...kernels[kernel].modules, ...own, import.meta.url].join("\0"))
    .update(await Bun.file(import.meta.path).text())
    .digest("hex")
    .slice(0, 12);
  const built = await cachedFolder(`base-${version}`, async (draft) => {
    await writeArchive(join(draft, "base.cpio"), [], [...(await baseEntries(folder, release))]);
  });
  return { vmlinuz: join(folder, "vmlinuz"), release, base: join(built, "base.cpio") };
}

async function onlyFolderIn(path: string): Promise<string> {
  const [name] = await readdir(path);
  if (name === undefined) throw new Error(`${path} is empty`);
  return name;
}

/** Cached folder with `vmlinuz` and `lib/modules/RELEASE`: the modules we want, uncompressed, and depmod's tables. */
async function kernelFolder(kernel: KernelName): Promise<string> {
  const { package: metapackage, modules } = kernels[kernel];
  return cachedFolder(
    `kernel-${createHash("sha256").update(modules.join()).digest("hex").slice(0, 12)}`,
    async (draft) => {
      const meta = await mustRun(["apt-cache", "depends", "--important", metapackage]);
      const name = /Depends: (linux-image-\S+)/.exec(meta)?.[1];
      if (name === undefined) throw new Error(`apt knows no package ${metapackage}`);
      const whole = join(draft, "package");
      await unpackPackages([name], whole);
      // A merged-/usr package has its modules under usr/lib.
      const root = existsSync(join(whole, "lib/modules")) ? whole : join(whole, "usr");
      const release = await onlyFolderIn(join(root, "lib/modules"));
      await mustRun(["depmod", "-b", root, release]);
      const source = join(root, "lib/modules", release);
      const target = join(draft, "lib/modules", release);
      for (const path of await moduleClosure(source, modules)) {
        await mustRun(["install", "-D", "-m", "644", join(source, path), join(target, path)]);
        if (path.endsWith(".xz")) await mustRun(["xz", "-d", join(target, path)]);
      }
      for (const table of ["modules.builtin", "modules.builtin.modinfo", "modules.order"]) {
        await mustRun(["cp", join(source, table), target]);
      }
      await mustRun(["depmod", "-b", draft, release]);
      await mustRun(["mv", join(whole, "boot", `vmlinuz-${release}`), join(draft, "vmlinuz")]);
      await mustRun(["rm", "-rf", whole]);
    },
  );
}

/** Paths of the wanted modules and of all they need, from depmod's table. Those that the kernel has built in are absent. */
async function moduleClosure(folder: string, modules: readonly string[]): Promise<Set<string>> {
  const table = await Bun.file(join(folder, "modules.dep")).text();
  const plainName = (path: string): string =>
    basename(path)
      .replace(/\.ko.*$/, "")
      .replaceAll("-", "_");
  const wanted = new Set(modules.map(plainName));
  const paths = new Set<string>();
  for (const line of table.split("\n")) {
    const [path, needs] = line.split(":");
    if (path === undefined || needs === undefined || !wanted.has(plainName(path))) continue;
    for (const each of [path, ...needs.split(" ").filter(Boolean)]) paths.add(each);
  }
  return paths;
}

async function scriptFiles(): Promise<{ from: string; to: string }[]> {
  const names = (await readdir(scripts)).sort();
  return names.map((name) => ({ from: join(scripts, name), to: `/lab/${name}` }));
}

async function baseEntries(kernel: string, release: string): Promise<CpioEntry[]> {
  const busybox = "/bin/busybox";
  const applets = (await mustRun([busybox, "--list-full"]))
    .split("\n")
    .filter((path) => path && path !== "bin/busybox");
  const moduleFolder = join(kernel, "lib/modules", release);
  const moduleFiles = [...new Bun.Glob("**/*").scanSync({ cwd: moduleFolder })].sort();
  const files: GuestFile[] = [
    { from: busybox, to: busybox },
    ...moduleFiles.map((path) => ({
      from: join(moduleFolder, path),
      to: `/lib/modules/${release}/${path}`,
      mode: 0o644,
    })),
    ...(await scriptFiles()),
    ...Object.entries(etc).map(([name, content]) => ({ to: `/etc/${name}`, content, mode: 0o644 })),
    { to: "/etc/shadow", content: shadow, mode: 0o600 },
  ];
  const folders = [
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/tmp",
    "/mnt",
    "/root",
    "/home/user",
    "/var/log",
    "/var/lib",
    "/lab/run",
  ];
  return [
    ...folders.map((path): CpioEntry => ({ kind: "folder", path, mode: 0o755 })),
    { kind: "link", path: "/var/run", target: "/run" },
    { kind: "link", path: "/init", target: busybox },
    ...applets.map((path): CpioEntry => ({ kind: "link", path: `/${path}`, target: busybox })),
    ...(await Promise.all(files.map(entryOf))),
  ];
}

const etc: Record<string, string> = {
  // Busybox as init: it reaps orphans and obeys poweroff, reboot and halt.
  inittab: [
    "::sysinit:/lab/boot",
    "::once:/lab/shell",
    "::once:/lab/start-agent",
    "::shutdown:/bin/umount -a -r",
    "",
  ].join("\n"),
  passwd: "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n",
  group: "root:x:0:\nuser:x:1000:\n",
  "os-release":
    'ID=lab\nNAME="Lab Linux"\nPRETTY_NAME="Lab Linux 1.0"\nVERSION="1.0"\nVERSION_ID=1.0\nVARIANT="VM"\nVARIANT_ID=vm\n',
  hosts: "127.0.0.1 localhost\n",
};
const shadow = "root:*:19000:0:99999:7:::\nuser:*:19000:0:99999:7:::\n";

async function entryOf(file: GuestFile): Promise<CpioEntry> {
  const bytes =
    file.from === undefined ? Buffer.from(file.content ?? "") : new Uint8Array(await Bun.file(file.from).arrayBuffer());
  return { kind: "file", path: file.to, mode: file.mode ?? 0o755, bytes };
}

/** Writes a complete initramfs for one guest to `out`. */
export async function buildInitramfs(out: string, image: BaseImage, layer: GuestLayer): Promise<void> {
  const mounts = (layer.mounts ?? []).map(({ serial, type, mountpoint }) => `${serial} ${type} ${mountpoint}\n`);
  const files: GuestFile[] = [
    { to: "/etc/hostname", content: `${layer.hostname ?? "lab-guest"}\n`, mode: 0o644 },
    { to: "/lab/mounts", content: mounts.join(""), mode: 0o644 },
    { to: "/lab/ports", content: `${(layer.ports ?? []).join(" ")}\n`, mode: 0o644 },
    ...(layer.agentCommand === undefined ? [] : [agentScript(layer.agentCommand)]),
    ...(layer.respawnAgent === true ? [{ to: "/lab/respawn", content: "" }] : []),
    ...(layer.files ?? []),
  ];
  await writeArchive(out, [image.base], await Promise.all(files.map(entryOf)));
}

function agentScript(command: readonly string[]): GuestFile {
  return { to: "/lab/agent", content: `#!/bin/sh\nexec ${command.map(shellQuote).join(" ")}\n` };
}

/** Quotes a word for sh. */
export function shellQuote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

async function writeArchive(out: string, before: readonly string[], entries: readonly CpioEntry[]): Promise<void> {
  const sink = Bun.file(out).writer({ highWaterMark: 1 << 20 });
  for (const path of before) sink.write(await Bun.file(path).arrayBuffer());
  for (const piece of cpioArchive(entries)) {
    sink.write(piece);
    // Executables are large: let what is buffered go out before the next piece comes in.
    if (piece.length > 1 << 20) await sink.flush();
  }
  await sink.end();
}

/** An executable of this machine with the shared libraries that ldd(1) finds for it, at the same paths in the guest. */
export async function executableFiles(from: string, to: string): Promise<GuestFile[]> {
  // A static executable has no libraries, and ldd says so with a failure.
  const { stdout } = await run(["ldd", from]);
  const libraries = [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map((match) => match[1] ?? "");
  return [{ from, to }, ...libraries.map((path) => ({ from: path, to: path }))];
}

/** Folder of the real agent in the guest, and the words that start it there. */
export const peerInGuest = {
  folder: "/peer",
  command: ["/peer/ld.so", "--library-path", "/peer", "/peer/qemu-ga"],
} as const;

/** The real agent with its own loader and libraries, all in /peer. */
export async function peerFiles(peer: Peer): Promise<GuestFile[]> {
  const libraries = await peerLibraries(peer);
  return [
    { from: peer.program, to: `${peerInGuest.folder}/qemu-ga` },
    { from: peer.loader, to: `${peerInGuest.folder}/ld.so` },
    ...libraries.map((from) => ({ from, to: `${peerInGuest.folder}/${basename(from)}` })),
  ];
}

/** chpasswd(8) of this machine with the part of PAM that it needs: busybox has none in Debian. */
export async function chpasswdFiles(): Promise<GuestFile[]> {
  const module = "/lib/x86_64-linux-gnu/security/pam_unix.so";
  const programs = await Promise.all(["/usr/sbin/chpasswd", module].map((path) => executableFiles(path, path)));
  return [
    ...programs.flat(),
    { to: "/etc/pam.d/chpasswd", content: "password required pam_unix.so sha512\n", mode: 0o644 },
  ];
}
