/** Byte streams to a host: virtio-serial, COM ports, named pipes. */
import { type Pointer, ptr } from "bun:ffi";
import { type Listener, type Port, type PortEvents, type Ports, SystemError } from "../../src/guest.ts";
import { prepareLine } from "./com-port.ts";
import { check, ERROR, systemError } from "./errors.ts";
import { type Handle, kernel32 } from "./kernel32.ts";
import { associate, loop } from "./loop.ts";
import { createOperation } from "./overlapped.ts";
import { privateSecurity } from "./security.ts";
import { wide } from "./wide.ts";

const GENERIC_READ = 0x80000000;
const GENERIC_WRITE = 0x40000000;
const OPEN_EXISTING = 3;
const FILE_FLAG_OVERLAPPED = 0x40000000;
const PIPE_ACCESS_DUPLEX = 3;
const FILE_FLAG_FIRST_PIPE_INSTANCE = 0x00080000;
const PIPE_REJECT_REMOTE_CLIENTS = 8;

const BUFFER_SIZE = 64 * 1024;

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

/** A handle that was opened for overlapped calls, as a port; one read is always under way. */
function overlappedPort(handle: Handle, { persistent }: { readonly persistent: boolean }): Port {
  const reading = createOperation();
  const writing = createOperation();
  const input = Buffer.from(new ArrayBuffer(BUFFER_SIZE));
  const output = Buffer.from(new ArrayBuffer(BUFFER_SIZE));
  let events: PortEvents | undefined;
  /** What was read and not fetched yet: `input[at, filled)`. */
  let at = 0;
  let filled = 0;
  let failure: SystemError | undefined;
  let away = false;
  let pause = FIRST_PAUSE;
  let cancelPause = (): void => {};
  let waitingForRoom = false;
  let open = true;

  const later = (): void => {
    cancelPause = loop.after(pause, startRead);
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  };

  const readFailed = (call: string, code: number): void => {
    if (persistent && HOST_AWAY.includes(code)) {
      // Told once: a new host must not get answers to what the last one left unsaid.
      const first = pause === FIRST_PAUSE;
      later();
      if (!first) return;
      away = true;
    } else if (!persistent && PIPE_CLOSED.includes(code)) away = true;
    else failure = systemError(call, code);
    events?.readable();
  };

  const startRead = (): void => {
    if (!open || reading.busy) return;
    const refused = reading.start(
      (overlapped) => kernel32.ReadFile(handle, input, input.byteLength, null, overlapped),
      [input],
      (code, bytes) => {
        if (!open) return;
        if (code !== ERROR.SUCCESS) return readFailed("ReadFile", code);
        // A serial line may give nothing when its timeout ends.
        if (bytes === 0) return startRead();
        pause = FIRST_PAUSE;
        at = 0;
        filled = bytes;
        events?.readable();
      },
    );
    if (refused !== 0) loop.soon(() => open && readFailed("ReadFile", refused));
  };

  const startWrite = (length: number): void => {
    let done = 0;
    const step = (): number =>
      writing.start(
        (overlapped) =>
          kernel32.WriteFile(handle, (Number(ptr(output)) + done) as Pointer, length - done, null, overlapped),
        [output],
        (code, bytes) => {
          if (!open) return;
          done += bytes;
          const refused = code === ERROR.SUCCESS && done < length && bytes > 0 ? step() : code;
          if (writing.busy) return;
          if (refused !== ERROR.SUCCESS) writeFailed(refused);
          if (!waitingForRoom) return;
          waitingForRoom = false;
          events?.writable();
        },
      );
    const refused = step();
    if (refused !== ERROR.SUCCESS) writeFailed(refused);
  };

  /** What a host that is away was to be told is lost. */
  const writeFailed = (code: number): void => {
    if (persistent && HOST_AWAY.includes(code)) return;
    if (!persistent && PIPE_CLOSED.includes(code)) {
      away = true;
      loop.soon(() => open && events?.readable());
    } else throw systemError("WriteFile", code);
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
      if (writing.busy) {
        waitingForRoom = true;
        return 0;
      }
      const count = Math.min(end - start, output.byteLength);
      output.set(from.subarray(start, start + count));
      startWrite(count);
      if (count < end - start) waitingForRoom = true;
      return count;
    },
    // What is written to a line without a host is gone at once, or comes back as an error.
    attended: () => true,
    close() {
      open = false;
      cancelPause();
      reading.cancel(handle);
      writing.cancel(handle);
      kernel32.CloseHandle(handle);
    },
  };
}

function openDevice(path: string): Handle {
  const handle = check(
    kernel32.CreateFileW(wide(path), GENERIC_READ | GENERIC_WRITE, 0, null, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, 0),
    "CreateFileW",
    path,
  );
  try {
    associate(handle);
  } catch (error) {
    kernel32.CloseHandle(handle);
    throw error;
  }
  return handle;
}

/** A pipe `\\.\pipe\NAME` that hosts, or programs that stand for one, connect to, one at a time. */
function listenPipe(path: string): Listener {
  let waiting: (() => void) | undefined;
  let connected: Handle[] = [];
  let open = true;
  let pending: Handle | undefined;
  const connecting = createOperation();

  const createPipe = (first: boolean): Handle =>
    check(
      kernel32.CreateNamedPipeW(
        wide(path),
        PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | (first ? FILE_FLAG_FIRST_PIPE_INSTANCE : 0),
        PIPE_REJECT_REMOTE_CLIENTS,
        255,
        BUFFER_SIZE,
        BUFFER_SIZE,
        0,
        privateSecurity(),
      ),
      "CreateNamedPipeW",
      path,
    );

  const arrived = (handle: Handle): void => {
    pending = undefined;
    connected.push(handle);
    waiting?.();
  };

  const listen = (handle: Handle): void => {
    associate(handle);
    pending = handle;
    const refused = connecting.start(
      (overlapped) => kernel32.ConnectNamedPipe(handle, overlapped),
      [],
      (code) => {
        if (!open) return;
        if (code === ERROR.SUCCESS || code === ERROR.PIPE_CONNECTED) return arrived(handle);
        kernel32.CloseHandle(handle);
        listen(createPipe(false));
      },
    );
    if (refused === ERROR.PIPE_CONNECTED) loop.soon(() => arrived(handle));
    else if (refused !== 0) throw systemError("ConnectNamedPipe", refused, path);
  };

  listen(createPipe(true));
  return {
    watch(callback) {
      waiting = callback;
    },
    accept() {
      const handle = connected.shift();
      if (handle === undefined) return undefined;
      listen(createPipe(false));
      return overlappedPort(handle, { persistent: false });
    },
    close() {
      open = false;
      if (pending !== undefined) {
        connecting.cancel(pending);
        kernel32.CloseHandle(pending);
      }
      for (const handle of connected) kernel32.CloseHandle(handle);
      connected = [];
    },
  };
}

function unsupported(what: string): never {
  throw new SystemError(what, "ERROR_NOT_SUPPORTED", "not supported on Windows");
}

/** How often a path that is missing is looked for: devices do not tell when they come. */
const LOOK_MS = 1000;

export const ports: Ports = {
  defaults: { virtioSerial: "\\\\.\\Global\\org.qemu.guest_agent.0", isaSerial: "COM1" },

  openVirtioSerial: (path) => overlappedPort(openDevice(path), { persistent: !path.startsWith("\\\\.\\pipe\\") }),

  openSerial(path) {
    const name = path.startsWith("\\\\") ? path : `\\\\.\\${path}`;
    const handle = openDevice(name);
    prepareLine(handle, name);
    return overlappedPort(handle, { persistent: true });
  },

  listenUnix: (path) => (path.startsWith("\\\\.\\pipe\\") ? listenPipe(path) : unsupported("unix-listen")),
  listenVsock: () => unsupported("vsock-listen"),
  stdio: () => unsupported("stdio"),
  activated: () => undefined,

  watchPath(_path, appeared) {
    let cancel = (): void => {};
    const look = (): void => {
      cancel = loop.after(LOOK_MS, look);
      appeared();
    };
    cancel = loop.after(LOOK_MS, look);
    return () => cancel();
  },
};
