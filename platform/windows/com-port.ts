/** Serial lines: 115200 baud, 8 bits, raw. */
import { check } from "./errors.ts";
import { type Handle, kernel32 } from "./kernel32.ts";

/** DCB (winbase.h). */
const DCB = { size: 28, baudRate: 4, flags: 8, byteSize: 18, parity: 19, stopBits: 20 } as const;
const CBR_115200 = 115_200;
/** fBinary, fDtrControl = ENABLE, fRtsControl = ENABLE; no flow control, no parity, no translation. */
const DCB_FLAGS = 0x0001 | 0x0010 | 0x1000;

/** COMMTIMEOUTS: interval, multiplier and constant for reading, multiplier and constant for writing. */
const READ_INTERVAL = 1;

/** A read ends when bytes have come and a millisecond of silence follows; without bytes it waits for ever. @throws SystemError */
export function prepareLine(handle: Handle, path: string): void {
  const settings = Buffer.alloc(DCB.size);
  settings.writeUInt32LE(DCB.size, 0);
  check(kernel32.GetCommState(handle, settings), "GetCommState", path);
  settings.writeUInt32LE(CBR_115200, DCB.baudRate);
  settings.writeUInt32LE(DCB_FLAGS, DCB.flags);
  settings.writeUInt8(8, DCB.byteSize);
  settings.writeUInt8(0, DCB.parity);
  settings.writeUInt8(0, DCB.stopBits);
  check(kernel32.SetCommState(handle, settings), "SetCommState", path);
  check(kernel32.SetCommTimeouts(handle, new Uint32Array([READ_INTERVAL, 0, 0, 0, 0])), "SetCommTimeouts", path);
}
