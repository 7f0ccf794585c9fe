/** Files: handles as guest-file-* wants them, and the small files that the agent keeps for itself. */
import { type Pointer, ptr } from "bun:ffi";
import { existsSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { type Files, type OpenFile, type OpenMode, SystemError } from "../../src/guest.ts";
import { check, ERROR, errorText, lastError, systemError } from "./errors.ts";
import { type Handle, kernel32 } from "./kernel32.ts";
import { closeToUsers } from "./security.ts";
import { wide } from "./wide.ts";

const GENERIC_READ = 0x80000000;
const GENERIC_WRITE = 0x40000000;
/** FILE_GENERIC_WRITE without FILE_WRITE_DATA: each write goes to the end, whoever else writes. */
const APPEND = 0x00120116 & ~0x2;
const FILE_SHARE_READ = 1;
const CREATE_ALWAYS = 2;
const OPEN_EXISTING = 3;
const OPEN_ALWAYS = 4;
const FILE_ATTRIBUTE_NORMAL = 0x80;
const FILE_TYPE_PIPE = 3;
const PIPE_NOWAIT = 1;
const MOVEFILE_REPLACE_EXISTING = 1;
const MOVEFILE_WRITE_THROUGH = 8;

const ACCESS: Readonly<Record<OpenMode, readonly [access: number, disposition: number]>> = {
  r: [GENERIC_READ, OPEN_EXISTING],
  w: [GENERIC_WRITE, CREATE_ALWAYS],
  a: [APPEND, OPEN_ALWAYS],
  "r+": [GENERIC_READ | GENERIC_WRITE, OPEN_EXISTING],
  "w+": [GENERIC_READ | GENERIC_WRITE, CREATE_ALWAYS],
  "a+": [GENERIC_READ | APPEND, OPEN_ALWAYS],
};

const WHENCE = { set: 0, cur: 1, end: 2 } as const;

const counted = new Uint32Array(new ArrayBuffer(4));
const position = new BigInt64Array(new ArrayBuffer(8));

/** Calls `step` until everything was moved, the file is at its end, or an error comes; a partial result wins over it. */
function transfer(call: string, total: number, step: (done: number) => number): number {
  let done = 0;
  while (done < total) {
    if (step(done) === 0) {
      const code = lastError();
      // An empty pipe that nobody has open for writing is at its end, one that somebody has is just empty.
      if (code === ERROR.HANDLE_EOF || code === ERROR.BROKEN_PIPE || code === ERROR.NO_DATA) return done;
      if (done > 0) return done;
      throw systemError(call, code);
    }
    const count = counted[0] ?? 0;
    if (count === 0) return done;
    done += count;
  }
  return done;
}

/** A pipe must not hang the agent. */
function dontWait(handle: Handle): void {
  if (kernel32.GetFileType(handle) !== FILE_TYPE_PIPE) return;
  kernel32.SetNamedPipeHandleState(handle, new Uint32Array([PIPE_NOWAIT]), null, null);
}

const at = (bytes: Uint8Array, offset: number): Pointer => (Number(ptr(bytes)) + offset) as Pointer;

function handleFile(handle: Handle): OpenFile {
  return {
    read: (into, start, end) =>
      start === end
        ? 0
        : transfer("ReadFile", end - start, (done) =>
            kernel32.ReadFile(handle, at(into, start + done), end - start - done, counted, null),
          ),
    write: (from, start, end) =>
      start === end
        ? 0
        : transfer("WriteFile", end - start, (done) =>
            kernel32.WriteFile(handle, at(from, start + done), end - start - done, counted, null),
          ),
    seek: (offset, whence) => {
      check(kernel32.SetFilePointerEx(handle, offset, position, WHENCE[whence]), "SetFilePointerEx");
      return position[0] ?? 0n;
    },
    truncate: (length) => {
      check(kernel32.SetFilePointerEx(handle, length, position, WHENCE.set), "SetFilePointerEx");
      check(kernel32.SetEndOfFile(handle), "SetEndOfFile");
    },
    flush: () => {
      check(kernel32.FlushFileBuffers(handle), "FlushFileBuffers");
    },
    close: () => {
      check(kernel32.CloseHandle(handle), "CloseHandle");
    },
  };
}

/** What node:fs calls its errors, and the codes that they stand for. */
const NODE_CODES: Readonly<Record<string, number>> = {
  ENOENT: ERROR.FILE_NOT_FOUND,
  EACCES: ERROR.ACCESS_DENIED,
  EPERM: ERROR.ACCESS_DENIED,
  EBUSY: ERROR.SHARING_VIOLATION,
  EEXIST: ERROR.FILE_EXISTS,
  EISDIR: ERROR.ACCESS_DENIED,
};

/** Lets node:fs do it and gives its error the form of ours. */
function viaNode<T>(call: string, path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const name = error instanceof Error && "code" in error ? String(error.code) : "EIO";
    const code = NODE_CODES[name];
    throw code === undefined
      ? new SystemError(call, name, error instanceof Error ? error.message : name, path)
      : new SystemError(call, name, errorText(code), path);
  }
}

export const files: Files = {
  open(path, mode) {
    const [access, disposition] = ACCESS[mode];
    const handle = check(
      kernel32.CreateFileW(wide(path), access >>> 0, FILE_SHARE_READ, null, disposition, FILE_ATTRIBUTE_NORMAL, 0),
      "CreateFileW",
      path,
    );
    dontWait(handle);
    return handleFile(handle);
  },
  readText: (path) => viaNode("CreateFileW", path, () => readFileSync(path, "utf8")),
  replaceText(path, text) {
    const beside = `${path}.new`;
    viaNode("CreateFileW", path, () => {
      const made = mkdirSync(dirname(path), { recursive: true });
      if (made !== undefined) closeToUsers(made);
      writeFileSync(beside, text);
    });
    check(
      kernel32.MoveFileExW(wide(beside), wide(path), MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH),
      "MoveFileExW",
      path,
    );
  },
  touch: (path) => viaNode("CreateFileW", path, () => writeFileSync(path, "", { flag: "a" })),
  exists: existsSync,
  remove: (path) => viaNode("DeleteFileW", path, () => unlinkSync(path)),
};
