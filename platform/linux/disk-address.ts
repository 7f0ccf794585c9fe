/**
 * Where a disk hangs, read from its path in sysfs: each directory of the path is a device on the way to it.
 *
 * Bus, target and unit are what a host that configured the disk calls them, which depends on the controller's driver.
 */
import { readlinkSync } from "node:fs";
import { basename } from "node:path";
import type { DiskAddress } from "../../src/guest.ts";
import { namesIn } from "./sysfs.ts";

/** The part of an address that comes from the path. */
export type Place = Pick<DiskAddress, "busType" | "pci" | "bus" | "target" | "unit" | "ccw">;
type BusPlace = Pick<DiskAddress, "busType" | "bus" | "target" | "unit">;

/** The numbers in `targetH:C:I/H:C:I:L`. */
interface ScsiTarget {
  readonly channel: number;
  readonly id: number;
  readonly lun: number;
}

/** What of a path the controllers' rules look at. */
interface Steps {
  readonly scsi: ScsiTarget | undefined;
  /** Which of its controller's hosts it is on: the first has the lowest number. */
  readonly hostIndex: number | undefined;
}

const NO_PCI = { domain: -1, bus: -1, slot: -1, function: -1 };
const NOWHERE: BusPlace = { busType: "unknown", bus: 0, target: 0, unit: 0 };

const place = (busType: DiskAddress["busType"], unit = 0, bus = 0): BusPlace => ({ busType, bus, target: 0, unit });

/** PCI drivers that have disks: how a disk behind one is addressed; undefined when the path does not say. */
const CONTROLLERS: Readonly<Record<string, (steps: Steps) => BusPlace | undefined>> = {
  ata_piix: ({ scsi, hostIndex }) => (scsi && hostIndex !== undefined ? place("ide", scsi.id, hostIndex) : undefined),
  sym53c8xx: ({ scsi }) => (scsi ? place("scsi", scsi.id) : undefined),
  "virtio-pci": ({ scsi }) => (scsi ? place("scsi", scsi.lun) : place("virtio")),
  ahci: ({ scsi, hostIndex }) => (scsi && hostIndex !== undefined ? place("sata", hostIndex) : undefined),
  nvme: () => place("nvme"),
  xhci_hcd: () => place("usb"),
  "ehci-pci": () => place("usb"),
};

/** Multipath, the kernel's default, hangs an NVMe disk below its subsystem and away from the controller. */
const NVME_SUBSYSTEM = "/nvme-subsystem/";

/**
 * @param root stands before `/sys`, for tests
 * @param syspath the canonical path of a disk or partition: `/sys/devices/...`
 * @returns undefined when the path tells nothing
 */
export function placeOf(root: string, syspath: string): Place | undefined {
  if (syspath.startsWith("/sys/devices/pci")) return placeOnPci(root, syspath);
  if (syspath.startsWith("/sys/devices/css")) return placeOnChannel(syspath);
  const found = syspath.includes(NVME_SUBSYSTEM) ? place("nvme") : placeOnVirtio(syspath);
  return found && { pci: NO_PCI, ...found };
}

const PCI_ROOT = /^\/sys\/devices\/pci[0-9a-f]+:[0-9a-f]+/;
const PCI_FUNCTION = /\/([0-9a-f]+):([0-9a-f]+):([0-9a-f]+)\.([0-9a-f]+)(?=\/)/y;

/** The disk's controller is the first function on the way, behind whatever bridges, that has a driver for disks. */
function placeOnPci(root: string, syspath: string): Place | undefined {
  PCI_FUNCTION.lastIndex = PCI_ROOT.exec(syspath)?.[0].length ?? 0;
  for (let step = PCI_FUNCTION.exec(syspath); step !== null; step = PCI_FUNCTION.exec(syspath)) {
    const rule = CONTROLLERS[driverOf(root + syspath.slice(0, PCI_FUNCTION.lastIndex))];
    if (rule === undefined) continue;
    const [domain = 0, bus = 0, slot = 0, pciFunction = 0] = step.slice(1).map((digits) => parseInt(digits, 16));
    const found = rule({ scsi: scsiTarget(syspath), hostIndex: hostIndex(root, syspath) });
    return { pci: { domain, bus, slot, function: pciFunction }, ...(found ?? NOWHERE) };
  }
  return undefined;
}

function driverOf(device: string): string {
  try {
    return basename(readlinkSync(`${device}/driver`));
  } catch {
    return "";
  }
}

function scsiTarget(syspath: string): ScsiTarget | undefined {
  const numbers = /\/target\d+:\d+:\d+\/\d+:(\d+):(\d+):(\d+)/.exec(syspath)?.slice(1).map(Number);
  if (numbers === undefined) return undefined;
  const [channel = 0, id = 0, lun = 0] = numbers;
  return { channel, id, lun };
}

/** Hosts are numbered over all controllers, in the order they were found; the order within one is what stays. */
function hostIndex(root: string, syspath: string): number | undefined {
  const step = /\/(ata|host)(\d+)(?=\/)/.exec(syspath);
  const [, kind, number] = step ?? [];
  if (step === null || kind === undefined) return undefined;
  const index = (namesIn(root + syspath.slice(0, step.index)) ?? [])
    .filter((name) => name.startsWith(kind))
    .map((name) => name.slice(kind.length))
    .filter((rest) => /^\d+$/.test(rest))
    .map(Number)
    .sort((a, b) => a - b)
    .indexOf(Number(number));
  return index < 0 ? undefined : index;
}

/** virtio without PCI: on a channel of s390x, or memory-mapped. */
function placeOnVirtio(syspath: string): BusPlace | undefined {
  if (!syspath.includes("/virtio") || !syspath.includes("/block")) return undefined;
  const scsi = scsiTarget(syspath);
  if (scsi === undefined) return place("virtio");
  return { busType: "scsi", bus: scsi.channel, target: scsi.id, unit: scsi.lun };
}

/** `cssN/<cssid>.<ssid>.<subchannel>/<cssid>.<ssid>.<device>/`, all hexadecimal (Documentation/arch/s390/cds.rst). */
const CHANNEL =
  /^\/sys\/devices\/css[0-9a-f]+\/([0-9a-f]+)\.([0-9a-f]+)\.([0-9a-f]+)\/[0-9a-f]+\.[0-9a-f]+\.([0-9a-f]+)(?=\/)/;

function placeOnChannel(syspath: string): Place | undefined {
  const numbers = CHANNEL.exec(syspath)?.slice(1);
  if (numbers === undefined) return undefined;
  const [cssid = 0, ssid = 0, subchno = 0, devno = 0] = numbers.map((digits) => parseInt(digits, 16));
  return { pci: NO_PCI, ccw: { cssid, ssid, subchno, devno }, ...(placeOnVirtio(syspath) ?? NOWHERE) };
}
