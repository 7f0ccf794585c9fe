/** The health of an NVMe disk: log page 02h of the NVMe base specification, by <linux/nvme_ioctl.h>. */
import { ptr } from "bun:ffi";
import type { Counter128, NvmeSmart } from "../../src/guest.ts";
import { cstring, libc } from "./libc.ts";

const O_RDONLY = 0;
const O_CLOEXEC = 0o2000000;

/** _IOWR('N', 0x41, struct nvme_passthru_cmd) */
const NVME_IOCTL_ADMIN_CMD = 0xc0484e41;
/** struct nvme_passthru_cmd: where its members are. */
const COMMAND = { size: 72, opcode: 0, nsid: 4, address: 24, dataLength: 36, cdw10: 40 } as const;
const GET_LOG_PAGE = 0x02;
const ALL_NAMESPACES = 0xffff_ffff;
const HEALTH_PAGE = 0x02;
/** Leaves asynchronous events as they are, so that whoever waits for them still gets them. */
const RETAIN_EVENTS = 1 << 15;

/** The log page: where its members are. Counters have 16 bytes, little-endian. */
const PAGE = {
  size: 512,
  criticalWarning: 0,
  temperature: 1,
  availableSpare: 3,
  availableSpareThreshold: 4,
  percentageUsed: 5,
  dataUnitsRead: 32,
  dataUnitsWritten: 48,
  hostReadCommands: 64,
  hostWriteCommands: 80,
  controllerBusyTime: 96,
  powerCycles: 112,
  powerOnHours: 128,
  unsafeShutdowns: 144,
  mediaErrors: 160,
  errorLogEntries: 176,
} as const;

/** @returns undefined when the disk is no NVMe disk or refuses. */
export function readNvmeSmart(device: string): NvmeSmart | undefined {
  const fd = libc.open(cstring(device), O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return undefined;
  const page = Buffer.alloc(PAGE.size);
  const command = Buffer.alloc(COMMAND.size);
  command.writeUInt8(GET_LOG_PAGE, COMMAND.opcode);
  command.writeUInt32LE(ALL_NAMESPACES, COMMAND.nsid);
  command.writeBigUInt64LE(BigInt(ptr(page)), COMMAND.address);
  command.writeUInt32LE(page.byteLength, COMMAND.dataLength);
  const lastWord = page.byteLength / 4 - 1;
  command.writeUInt32LE(HEALTH_PAGE | RETAIN_EVENTS | (lastWord << 16), COMMAND.cdw10);
  // A positive result is a status of the disk.
  const result = libc.ioctl(fd, NVME_IOCTL_ADMIN_CMD, command);
  libc.close(fd);
  return result === 0 ? parseHealthPage(page) : undefined;
}

/** @param page the 512 bytes of the log page */
export function parseHealthPage(page: Buffer): NvmeSmart {
  const counter = (at: number): Counter128 => ({ low: page.readBigUInt64LE(at), high: page.readBigUInt64LE(at + 8) });
  return {
    criticalWarning: page.readUInt8(PAGE.criticalWarning),
    temperature: page.readUInt16LE(PAGE.temperature),
    availableSpare: page.readUInt8(PAGE.availableSpare),
    availableSpareThreshold: page.readUInt8(PAGE.availableSpareThreshold),
    percentageUsed: page.readUInt8(PAGE.percentageUsed),
    dataUnitsRead: counter(PAGE.dataUnitsRead),
    dataUnitsWritten: counter(PAGE.dataUnitsWritten),
    hostReadCommands: counter(PAGE.hostReadCommands),
    hostWriteCommands: counter(PAGE.hostWriteCommands),
    controllerBusyTime: counter(PAGE.controllerBusyTime),
    powerCycles: counter(PAGE.powerCycles),
    powerOnHours: counter(PAGE.powerOnHours),
    unsafeShutdowns: counter(PAGE.unsafeShutdowns),
    mediaErrors: counter(PAGE.mediaErrors),
    errorLogEntries: counter(PAGE.errorLogEntries),
  };
}
