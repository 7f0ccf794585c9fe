/** Failed calls as typed errors, in the words of the guest's own Windows. */
import { SystemError } from "../../src/guest.ts";
import { ERROR } from "./error-codes.ts";
import { kernel32 } from "./kernel32.ts";
import { fromWide, wideRoom } from "./wide.ts";

export { ERROR } from "./error-codes.ts";

/** What `src` tells apart has the name that it knows it by. */
const NAMES = new Map<number, string>([
  ...Object.entries(ERROR).map(([name, code]): [number, string] => [code, `ERROR_${name}`]),
  [ERROR.FILE_NOT_FOUND, "ENOENT"],
  [ERROR.PATH_NOT_FOUND, "ENOENT"],
]);

const FORMAT_MESSAGE_IGNORE_INSERTS = 0x200;
const FORMAT_MESSAGE_FROM_SYSTEM = 0x1000;
const FORMAT_MESSAGE_FROM_HMODULE = 0x800;
const MESSAGE_ROOM = 1024;

export const lastError = (): number => kernel32.GetLastError();

/**
 * The system's text for a code, `error 0x...` when it has none.
 * @param module a DLL with messages of its own
 */
export function errorText(code: number, module = 0): string {
  const text = wideRoom(MESSAGE_ROOM);
  const flags =
    FORMAT_MESSAGE_IGNORE_INSERTS | FORMAT_MESSAGE_FROM_SYSTEM | (module === 0 ? 0 : FORMAT_MESSAGE_FROM_HMODULE);
  const length = kernel32.FormatMessageW(flags, module, code >>> 0, 0, text, MESSAGE_ROOM, null);
  const said = fromWide(text, 0, length * 2).trim();
  return said === "" ? `error ${hex(code)}` : said;
}

/** A code of 32 bits as it is written in manuals: `0x80042301`. */
export const hex = (code: number): string => `0x${(code >>> 0).toString(16)}`;

export const errorName = (code: number): string => NAMES.get(code) ?? `error ${code > 0xffff ? hex(code) : code}`;

/** A failed call as a typed error. */
export function systemError(call: string, code: number, subject?: string): SystemError {
  return new SystemError(call, errorName(code), errorText(code), subject);
}

/** Passes a result on, or throws what GetLastError says when it is 0 or INVALID_HANDLE_VALUE. */
export function check(result: number | bigint, call: string, subject?: string): number {
  const value = Number(result);
  if (value === 0 || value === -1) throw systemError(call, lastError(), subject);
  return value;
}
