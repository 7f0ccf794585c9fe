/** What a disk or volume tells about itself (winioctl.h, ntddscsi.h). */
import type { BusType, DiskAddress } from "../../src/guest.ts";
import { type Device, DISK_INTERFACE, mapInterfaces, PROPERTY, STORAGE_PORT_INTERFACE } from "./device-tree.ts";
import { check, ERROR, systemError } from "./errors.ts";
import { type Handle, kernel32 } from "./kernel32.ts";
import { wide } from "./wide.ts";

const IOCTL_SCSI_GET_ADDRESS = 0x41018;
const IOCTL_STORAGE_GET_DEVICE_NUMBER = 0x2d1080;
const IOCTL_STORAGE_QUERY_PROPERTY = 0x2d1400;
const IOCTL_VOLUME_GET_VOLUME_DISK_EXTENTS = 0x560000;
const FILE_SHARE_READ_WRITE = 3;
const OPEN_EXISTING = 3;

/** STORAGE_DEVICE_DESCRIPTOR. */
const DESCRIPTOR = { room: 4096, serial: 24, busType: 28 } as const;
/** STORAGE_PROPERTY_QUERY; all zeros ask for the descriptor of the device. */
const QUERY_SIZE = 12;
/** STORAGE_DEVICE_NUMBER. */
const NUMBER = { size: 12, number: 4 } as const;
/** SCSI_ADDRESS. */
const SCSI = { size: 8, bus: 5, target: 6, unit: 7 } as const;
/** VOLUME_DISK_EXTENTS and the DISK_EXTENTs in it. */
const EXTENTS = { header: 8, size: 24, room: 8 + 24 * 64 } as const;

/** STORAGE_BUS_TYPE, with the names that qemu-ga has for its values. */
const BUS_TYPES: readonly BusType[] = [
  "unknown",
  "scsi",
  "ide",
  "ide",
  "ieee1394",
  "ssa",
  "ssa",
  "usb",
  "raid",
  "iscsi",
  "sas",
  "sata",
  "sd",
  "mmc",
  "virtual",
  "file-backed-virtual",
  "unknown",
  "nvme",
];
/** Those for which a SCSI address makes sense. */
const SCSI_LIKE: readonly BusType[] = ["scsi", "ide", "raid", "sas"];

const NO_PCI = { domain: -1, bus: -1, slot: -1, function: -1 } as const;

/** Opens for questions only; @throws SystemError */
function withDevice<T>(path: string, use: (device: Handle) => T): T {
  const handle = check(
    kernel32.CreateFileW(wide(path), 0, FILE_SHARE_READ_WRITE, null, OPEN_EXISTING, 0, 0),
    "CreateFileW",
    path,
  );
  try {
    return use(handle);
  } finally {
    kernel32.CloseHandle(handle);
  }
}

/** @returns as much of `answer` as was filled. @throws SystemError */
function control(device: Handle, code: number, question: Buffer | null, answer: Buffer): Buffer {
  const size = new Uint32Array(1);
  const asked = question?.byteLength ?? 0;
  check(
    kernel32.DeviceIoControl(device, code, question, asked, answer, answer.byteLength, size, null),
    `DeviceIoControl ${code.toString(16)}`,
  );
  return answer.subarray(0, size[0]);
}

/** The number N of `\\.\PhysicalDriveN`. @throws SystemError */
export const diskNumber = (path: string): number =>
  withDevice(path, (device) =>
    control(device, IOCTL_STORAGE_GET_DEVICE_NUMBER, null, Buffer.alloc(NUMBER.size)).readUInt32LE(NUMBER.number),
  );

/** The numbers of the disks that a volume lies on, each extent's. @throws SystemError */
export function volumeDisks(volume: string): number[] {
  return withDevice(volume.replace(/\\$/, ""), (device) => {
    const extents = control(device, IOCTL_VOLUME_GET_VOLUME_DISK_EXTENTS, null, Buffer.alloc(EXTENTS.room));
    return Array.from({ length: extents.readUInt32LE(0) }, (_, index) =>
      extents.readUInt32LE(EXTENTS.header + index * EXTENTS.size),
    );
  });
}

/** The PCI function of a storage controller. */
function pciAddress(controller: Device): DiskAddress["pci"] | undefined {
  const bus = controller.number(PROPERTY.busNumber);
  const address = controller.number(PROPERTY.address);
  const slot = controller.number(PROPERTY.uiNumber);
  if (bus === undefined || address === undefined || slot === undefined) return undefined;
  return { domain: 0, bus, slot, function: address & 0xffff };
}

function sameDisk(path: string | undefined, number: number): boolean {
  try {
    return path !== undefined && diskNumber(path) === number;
  } catch {
    return false;
  }
}

/** Where the disk's controller sits; -1 where that is not PCI or not known. */
function controllerOf(number: number): DiskAddress["pci"] {
  const parents = mapInterfaces(DISK_INTERFACE, (device, path) =>
    sameDisk(path, number) ? device.parentId() : undefined,
  );
  const parent = parents.find((id) => id !== undefined);
  if (parent === undefined) return NO_PCI;
  return mapInterfaces(STORAGE_PORT_INTERFACE, pciAddress, parent).find((pci) => pci !== undefined) ?? NO_PCI;
}

/** The serial number in a descriptor, without the blanks around it. */
export function serialIn(descriptor: Buffer): string | undefined {
  const at = descriptor.byteLength > DESCRIPTOR.busType ? descriptor.readUInt32LE(DESCRIPTOR.serial) : 0;
  if (at === 0 || at >= descriptor.byteLength) return undefined;
  const end = descriptor.indexOf(0, at);
  const serial = descriptor.toString("latin1", at, end < 0 ? undefined : end);
  return serial === "" ? undefined : serial;
}

function scsiAddress(device: Handle): Pick<DiskAddress, "bus" | "target" | "unit"> {
  const size = new Uint32Array(1);
  const answer = Buffer.alloc(SCSI.size);
  // Not every driver has one; the disk is worth listing without it.
  kernel32.DeviceIoControl(device, IOCTL_SCSI_GET_ADDRESS, null, 0, answer, SCSI.size, size, null);
  return { bus: answer[SCSI.bus] ?? 0, target: answer[SCSI.target] ?? 0, unit: answer[SCSI.unit] ?? 0 };
}

/** @param number of the disk; undefined for a volume that is not on one. @throws SystemError */
export function diskAddress(path: string, number: number | undefined): DiskAddress {
  return withDevice(path, (device) => {
    const descriptor = control(
      device,
      IOCTL_STORAGE_QUERY_PROPERTY,
      Buffer.alloc(QUERY_SIZE),
      Buffer.alloc(DESCRIPTOR.room),
    );
    if (descriptor.byteLength < DESCRIPTOR.busType + 4) throw systemError("DeviceIoControl", ERROR.GEN_FAILURE, path);
    const busType = BUS_TYPES[descriptor.readUInt32LE(DESCRIPTOR.busType)] ?? "unknown";
    return {
      busType,
      pci: busType === "usb" || number === undefined ? NO_PCI : controllerOf(number),
      ...(SCSI_LIKE.includes(busType) ? scsiAddress(device) : { bus: 0, target: 0, unit: 0 }),
      serial: serialIn(descriptor),
      dev: path,
    };
  });
}
