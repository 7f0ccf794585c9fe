/** A device or pipe as a port to a host: what drivers say when no host is there, and what becomes of bytes meanwhile. */
import type { Loop, Port, PortEvents, SystemError } from "../../src/guest.ts";
import { ERROR } from "./error-codes.ts";
import type { Ended } from "./overlapped.ts";

/** A line whose host is away fails each read at once: it is asked again after so many milliseconds, at last each two seconds. */
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 2000;

/**
 * Codes with which drivers say that no host is there. The virtio driver ends reads with NO_SYSTEM_RESOURCES as long as
 * no host is attached, and those under way with OPERATION_ABORTED when the host goes.
 */
const HOST_AWAY: readonly number[] = [ERROR.NO_SYSTEM_RESOURCES, ERROR.OPERATION_ABORTED, ERROR.HANDLE_EOF];
/** Codes with which a pipe says that the other side has closed it. */
const PIPE_CLOSED: readonly number[] = [ERROR.BROKEN_PIPE, ERROR.PIPE_NOT_CONNECTED, ERROR.NO_DATA];

/**
 * The virtio driver refuses a write so as long as no host is attached, and while the queue to a host that does not read
 * is full. Only how it answers to reads tells which it is.
 */
const NO_ROOM = ERROR.CANT_WAIT;
/** Milliseconds after which a write for which there was no room is tried again. */
const ROOM_PAUSE = 20;

const BUFFER_SIZE = 64 * 1024;

/** What a port is made of: reads and writes of which at most one each is under way. */
export interface Device {
  /** @returns 0, or the error code with which it was refused: then `ended` is not called */
  read(into: Buffer, ended: Ended): number;
  /** Writes `from[start, end)` or the beginning of it. @returns as `read` */
  write(from: Buffer, start: number, end: number, ended: Ended): number;
  /** A code that a call has ended with, as an error. */
  failure(call: string, code: number): SystemError;
  close(): void;
}

/** @param persistent whether it stays when the host goes */
export function devicePort(device: Device, loop: Pick<Loop, "after" | "soon">, persistent: boolean): Port {
  const input = Buffer.from(new ArrayBuffer(BUFFER_SIZE));
  const output = Buffer.from(new ArrayBuffer(BUFFER_SIZE));
  let events: PortEvents | undefined;
  /** What was read and not fetched yet: `input[at, filled)`. */
  let at = 0;
  let filled = 0;
  let reading = false;
  let sending = false;
  let failure: SystemError | undefined;
  let away = false;
  /** The last read was refused for want of a host. */
  let resting = false;
  let pause = FIRST_PAUSE;
  let cancelPause = (): void => {};
  let cancelRetry = (): void => {};
  let waitingForRoom = false;
  let open = true;

  const rest = (): void => {
    resting = true;
    cancelPause = loop.after(pause, startRead);
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  };

  const readFailed = (code: number): void => {
    if (persistent && HOST_AWAY.includes(code)) {
      // Told once: a new host must not get answers to what the last one left unsaid.
      const first = pause === FIRST_PAUSE;
      rest();
      if (!first) return;
      away = true;
    } else if (!persistent && PIPE_CLOSED.includes(code)) away = true;
    else failure = device.failure("ReadFile", code);
    events?.readable();
  };

  const readEnded = (code: number, bytes: number): void => {
    if (!open) return;
    reading = false;
    if (code !== ERROR.SUCCESS) return readFailed(code);
    // A serial line may give nothing when its timeout ends.
    if (bytes === 0) return startRead();
    pause = FIRST_PAUSE;
    at = 0;
    filled = bytes;
    events?.readable();
  };

  const startRead = (): void => {
    if (!open || reading) return;
    reading = true;
    const refused = device.read(input, readEnded);
    if (refused === ERROR.SUCCESS) resting = false;
    else loop.soon(() => readEnded(refused, 0));
  };

  /** What a host that is away was to be told is lost. */
  const writeFailed = (code: number): void => {
    if (persistent && (code === NO_ROOM || HOST_AWAY.includes(code))) return;
    if (!persistent && PIPE_CLOSED.includes(code)) away = true;
    else failure = device.failure("WriteFile", code);
    loop.soon(() => open && events?.readable());
  };

  const startWrite = (length: number): void => {
    let done = 0;
    const step = (): void => {
      const refused = device.write(output, done, length, ended);
      if (refused !== ERROR.SUCCESS) loop.soon(() => ended(refused, 0));
    };
    const ended = (code: number, bytes: number): void => {
      if (!open) return;
      done += bytes;
      if (code === ERROR.SUCCESS && bytes > 0 && done < length) return step();
      if (persistent && code === NO_ROOM && !resting) {
        cancelRetry = loop.after(ROOM_PAUSE, step);
        return;
      }
      sending = false;
      if (code !== ERROR.SUCCESS) writeFailed(code);
      if (!waitingForRoom) return;
      waitingForRoom = false;
      events?.writable();
    };
    sending = true;
    step();
  };

  return {
    persistent,
    get drained() {
      return at === filled;
    },
    watch(wanted) {
      events = wanted;
      startRead();
    },
    read(into) {
      if (failure !== undefined) throw failure;
      if (away) {
        away = false;
        return -1;
      }
      const count = Math.min(filled - at, into.byteLength);
      if (count > 0) into.set(input.subarray(at, at + count));
      at += count;
      if (at === filled) startRead();
      return count;
    },
    write(from, start, end) {
      if (failure !== undefined) throw failure;
      if (sending) {
        waitingForRoom = true;
        return 0;
      }
      const count = Math.min(end - start, output.byteLength);
      output.set(from.subarray(start, start + count));
      startWrite(count);
      if (count < end - start) waitingForRoom = true;
      return count;
    },
    attended: () => !resting,
    close() {
      open = false;
      cancelPause();
      cancelRetry();
      device.close();
    },
  };
}
