/** Byte streams to a host: virtio-serial, COM ports, named pipes. */
import { type Pointer, ptr } from "bun:ffi";
import { type Listener, type Port, type Ports, SystemError } from "../../src/guest.ts";
import { prepareLine } from "./com-port.ts";
import { type Device, devicePort } from "./device-port.ts";
import { check, ERROR, lastError, systemError } from "./errors.ts";
import { type Handle, kernel32 } from "./kernel32.ts";
import { associate, loop } from "./loop.ts";
import { createOperation } from "./overlapped.ts";
import { privateSecurity } from "./security.ts";
import { wide, wideRoom } from "./wide.ts";

const GENERIC_READ = 0x80000000;
const GENERIC_WRITE = 0x40000000;
const OPEN_EXISTING = 3;
const FILE_FLAG_OVERLAPPED = 0x40000000;
const PIPE_ACCESS_DUPLEX = 3;
const FILE_FLAG_FIRST_PIPE_INSTANCE = 0x00080000;
const PIPE_REJECT_REMOTE_CLIENTS = 8;

const BUFFER_SIZE = 64 * 1024;

/** A handle that was opened for overlapped calls, whose ends come to the loop, as a port. */
function handlePort(handle: Handle, persistent: boolean): Port {
  const reading = createOperation();
  const writing = createOperation();
  const device: Device = {
    read: (into, ended) =>
      reading.start((overlapped) => kernel32.ReadFile(handle, into, into.byteLength, null, overlapped), [into], ended),
    write: (from, start, end, ended) =>
      writing.start(
        (overlapped) =>
          kernel32.WriteFile(handle, (Number(ptr(from)) + start) as Pointer, end - start, null, overlapped),
        [from],
        ended,
      ),
    failure: systemError,
    close() {
      reading.cancel(handle);
      writing.cancel(handle);
      kernel32.CloseHandle(handle);
    },
  };
  return devicePort(device, loop, persistent);
}

/** Goes on with a handle, or closes it. @throws what `use` throws */
function orClose<T>(handle: Handle, use: (handle: Handle) => T): T {
  try {
    return use(handle);
  } catch (error) {
    kernel32.CloseHandle(handle);
    throw error;
  }
}

/** The path of a device; serial lines go by their short name. */
export const devicePath = (name: string): string => (name.startsWith("\\\\") ? name : `\\\\.\\${name}`);

/** @throws SystemError */
export const openDevice = (path: string): Handle =>
  check(
    kernel32.CreateFileW(
      wide(path),
      (GENERIC_READ | GENERIC_WRITE) >>> 0,
      0,
      null,
      OPEN_EXISTING,
      FILE_FLAG_OVERLAPPED,
      0,
    ),
    "CreateFileW",
    path,
  );

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

  /** A host is there, or has been and is gone already, which reading will tell. */
  const arrived = (handle: Handle): void => {
    if (!open) return;
    pending = undefined;
    connected.push(handle);
    waiting?.();
  };

  const listen = (first: boolean): void => {
    pending = orClose(createPipe(first), (handle) => {
      associate(handle);
      const refused = connecting.start(
        (overlapped) => kernel32.ConnectNamedPipe(handle, overlapped),
        [],
        () => arrived(handle),
      );
      if (refused === ERROR.PIPE_CONNECTED || refused === ERROR.NO_DATA) loop.soon(() => arrived(handle));
      else if (refused !== 0) throw systemError("ConnectNamedPipe", refused, path);
      return handle;
    });
  };

  listen(true);
  return {
    watch(callback) {
      waiting = callback;
    },
    accept() {
      const handle = connected.shift();
      if (handle === undefined) return undefined;
      return orClose(handle, () => {
        listen(false);
        return handlePort(handle, false);
      });
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

const isPipe = (path: string): boolean => path.startsWith("\\\\.\\pipe\\");

function unsupported(what: string): never {
  throw new SystemError(what, "ERROR_NOT_SUPPORTED", "not supported on Windows");
}

/** How often a path that is missing is looked for: devices do not tell when they come. */
const LOOK_MS = 1000;
const TARGET_ROOM = 1024;

/** Whether Windows knows that there is no such device. To open one to find out would show at the host. */
function isMissing(path: string): boolean {
  const [, name] = /^\\\\\.\\Global\\([^\\]+)$/i.exec(path) ?? [];
  if (name === undefined) return false;
  const found = kernel32.QueryDosDeviceW(wide(name), wideRoom(TARGET_ROOM), TARGET_ROOM);
  return found === 0 && lastError() === ERROR.FILE_NOT_FOUND;
}

/** The path of a virtio port. */
export const portPath = (name: string): string => `\\\\.\\Global\\${name}`;

export const ports: Ports = {
  defaults: { virtioSerial: portPath("org.qemu.guest_agent.0"), isaSerial: "COM1" },

  openVirtioSerial: (path) =>
    orClose(openDevice(path), (handle) => {
      associate(handle);
      return handlePort(handle, !isPipe(path));
    }),

  openSerial: (name) =>
    orClose(openDevice(devicePath(name)), (handle) => {
      associate(handle);
      prepareLine(handle, devicePath(name));
      return handlePort(handle, true);
    }),

  listenUnix: (path) => (isPipe(path) ? listenPipe(path) : unsupported("unix-listen")),
  listenVsock: () => unsupported("vsock-listen"),
  stdio: () => unsupported("stdio"),
  activated: () => undefined,

  watchPath(path, appeared) {
    let cancel = (): void => {};
    const look = (): void => {
      cancel = loop.after(LOOK_MS, look);
      if (!isMissing(path)) appeared();
    };
    cancel = loop.after(LOOK_MS, look);
    return () => cancel();
  },
};
