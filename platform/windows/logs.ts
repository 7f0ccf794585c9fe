/** Where log lines go: standard error, files, and the event log. */
import { ptr } from "bun:ffi";
import type { LogFile, Logs } from "../../src/guest.ts";
import { advapi32 } from "./advapi32.ts";
import { check } from "./errors.ts";
import { type Handle, INVALID_HANDLE, kernel32 } from "./kernel32.ts";
import { keepUntilHere } from "./memory.ts";
import { wide } from "./wide.ts";

const STD_ERROR_HANDLE = -12 >>> 0;
const FILE_APPEND_DATA = 4;
const SYNCHRONIZE = 0x00100000;
const FILE_SHARE_READ_WRITE_DELETE = 7;
const OPEN_ALWAYS = 4;
const FILE_ATTRIBUTE_NORMAL = 0x80;
const EVENTLOG_INFORMATION_TYPE = 4;

/** The name under which events are filed. */
export const EVENT_SOURCE = "inguest";

const written = new Uint32Array(new ArrayBuffer(4));

const handleFile = (handle: Handle): LogFile => ({
  write(text) {
    const bytes = Buffer.from(text, "utf8");
    kernel32.WriteFile(handle, bytes, bytes.byteLength, written, null);
  },
});

/** The message whose text is the event's. */
const EVENT_ID = 1;

let source: Handle | undefined;

const standardError: Handle = Number(kernel32.GetStdHandle(STD_ERROR_HANDLE));

function toEventLog(text: string): void {
  source ??= Number(advapi32.RegisterEventSourceW(null, wide(EVENT_SOURCE)));
  if (source === 0) return;
  const line = wide(text);
  const strings = new BigUint64Array([BigInt(ptr(line))]);
  advapi32.ReportEventW(source, EVENTLOG_INFORMATION_TYPE, 0, EVENT_ID, null, 1, 0, strings, null);
  keepUntilHere(line);
}

export const logs: Logs = {
  // A service has none: its lines go where an administrator looks.
  standardError:
    standardError === 0 || standardError === INVALID_HANDLE
      ? { write: (text) => toEventLog(text.trimEnd()) }
      : handleFile(standardError),
  openFile(path) {
    // Others may read it, rename it and delete it meanwhile.
    return handleFile(
      check(
        kernel32.CreateFileW(
          wide(path),
          FILE_APPEND_DATA | SYNCHRONIZE,
          FILE_SHARE_READ_WRITE_DELETE,
          null,
          OPEN_ALWAYS,
          FILE_ATTRIBUTE_NORMAL,
          0,
        ),
        "CreateFileW",
        path,
      ),
    );
  },
  system: toEventLog,
};
