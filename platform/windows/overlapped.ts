/** One read, write or connect that is under way: an OVERLAPPED that stays where it is until its packet has come. */
import { type Pointer, ptr } from "bun:ffi";
import { ERROR, lastError } from "./errors.ts";
import type { Handle } from "./kernel32.ts";
import { kernel32 } from "./kernel32.ts";
import { expectOperation, forgetOperation } from "./loop.ts";
import { ntdll } from "./ntdll.ts";

/** OVERLAPPED (minwinbase.h): status, count, offset, event. */
const OVERLAPPED = { size: 32, status: 0 } as const;

/** How an operation ended: an error code, 0 when all is well. */
export type Ended = (code: number, bytes: number) => void;

export interface Operation {
  readonly busy: boolean;
  /**
   * Starts it; `ended` is called from the loop, also when it succeeds at once.
   * @param call is given the OVERLAPPED and gives the call's result
   * @param kept what must stay in memory as long as it runs
   * @returns 0, or the error code with which it was refused: then `ended` is not called
   */
  start(call: (overlapped: Pointer) => number, kept: readonly unknown[], ended: Ended): number;
  /** Asks for its early end; `ended` is called then. */
  cancel(handle: Handle): void;
}

export function createOperation(): Operation {
  const overlapped = Buffer.from(new ArrayBuffer(OVERLAPPED.size));
  const address = ptr(overlapped);
  let busy = false;
  return {
    get busy() {
      return busy;
    },
    start(call, kept, ended) {
      overlapped.fill(0);
      busy = true;
      expectOperation(address, (bytes) => {
        busy = false;
        const status = overlapped.readInt32LE(OVERLAPPED.status);
        // `kept` is held by this function, and this function by the loop.
        ended(status >= 0 || kept.length < 0 ? 0 : ntdll.RtlNtStatusToDosError(status), bytes);
      });
      if (call(address) !== 0) return 0;
      const code = lastError();
      if (code === ERROR.IO_PENDING) return 0;
      busy = false;
      forgetOperation(address);
      return code;
    },
    cancel(handle) {
      if (busy) kernel32.CancelIoEx(handle, address);
    },
  };
}
