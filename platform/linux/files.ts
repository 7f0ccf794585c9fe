/** Files: handles as guest-file-* wants them, and the small files that the agent keeps for itself. */
import { ptr } from "bun:ffi";
import type { Files, OpenFile, OpenMode } from "../../src/guest.ts";
import { namesIn } from "./directory.ts";
import { check, cstring, EINTR, errno, libc, systemError } from "./libc.ts";

const O_RDONLY = 0;
const O_WRONLY = 1;
const O_RDWR = 2;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_NOCTTY = 0o400;
const O_TRUNC = 0o1000;
const O_APPEND = 0o2000;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const EEXIST = 17;

/** A pipe without a writer or a terminal must not hang the agent, nor become its controlling terminal. */
const ALWAYS = O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
const NEW_FILE_MODE = 0o666;
/** Of the agent's own files. */
const PRIVATE_MODE = 0o600;
const F_OK = 0;
const FIRST_ROOM = 4096;

const FLAGS: Readonly<Record<OpenMode, number>> = {
  r: O_RDONLY,
  w: O_WRONLY | O_CREAT | O_TRUNC,
  a: O_WRONLY | O_CREAT | O_APPEND,
  "r+": O_RDWR,
  "w+": O_RDWR | O_CREAT | O_TRUNC,
  "a+": O_RDWR | O_CREAT | O_APPEND,
};

const WHENCE = { set: 0, cur: 1, end: 2 } as const;

/** Opens, or creates with a mode that the umask has no part in. */
function openOrCreate(path: string, flags: number): number {
  const name = cstring(path);
  if ((flags & O_CREAT) === 0) return check(libc.open(name, flags, 0), "open", path);
  const created = libc.open(name, flags | O_EXCL, 0);
  if (created < 0) {
    const code = errno();
    if (code !== EEXIST) throw systemError("open", code, path);
    return check(libc.open(name, flags & ~O_CREAT, 0), "open", path);
  }
  if (libc.fchmod(created, NEW_FILE_MODE) < 0) {
    const code = errno();
    libc.close(created);
    libc.unlink(name);
    throw systemError("fchmod", code, path);
  }
  return created;
}

/** Calls `step` until everything was moved, the file is at its end, or an error comes; a partial result wins over it. */
function transfer(call: string, total: number, step: (done: number) => number): number {
  let done = 0;
  while (done < total) {
    const count = step(done);
    if (count > 0) done += count;
    else if (count === 0) return done;
    else {
      const code = errno();
      if (code === EINTR) continue;
      if (done > 0) return done;
      throw systemError(call, code);
    }
  }
  return done;
}

/** An open descriptor as a file. */
function descriptorFile(fd: number): OpenFile {
  return {
    read: (into, start, end) =>
      transfer("read", end - start, (done) => Number(libc.read(fd, ptr(into, start + done), end - start - done))),
    write: (from, start, end) =>
      transfer("write", end - start, (done) => Number(libc.write(fd, ptr(from, start + done), end - start - done))),
    seek: (offset, whence) => {
      const position = libc.lseek(fd, offset, WHENCE[whence]);
      check(Number(position), "lseek");
      return BigInt(position);
    },
    truncate: (length) => {
      check(libc.ftruncate(fd, length), "ftruncate");
      check(Number(libc.lseek(fd, length, WHENCE.set)), "lseek");
    },
    // Nothing is kept back in the process: what was written is with the kernel already.
    flush: () => {},
    close: () => {
      check(libc.close(fd), "close");
    },
  };
}

/** Opens a file, and closes it however `use` ends. */
function withFile<T>(path: string, flags: number, mode: number, use: (file: OpenFile) => T): T {
  const file = descriptorFile(check(libc.open(cstring(path), flags | O_CLOEXEC, mode), "open", path));
  try {
    return use(file);
  } finally {
    file.close();
  }
}

/** A small file as text: one of the agent's own, or of /proc and /sys, which do not tell their size. @throws SystemError */
export function readText(path: string): string {
  return withFile(path, O_RDONLY, 0, (file) => {
    let room = Buffer.allocUnsafe(FIRST_ROOM);
    let length = 0;
    for (;;) {
      length += file.read(room, length, room.byteLength);
      if (length < room.byteLength) return room.toString("utf8", 0, length);
      const larger = Buffer.allocUnsafe(length * 4);
      room.copy(larger);
      room = larger;
    }
  });
}

function writeText(path: string, flags: number, text: string): void {
  const bytes = Buffer.from(text, "utf8");
  withFile(path, O_WRONLY | O_CREAT | flags, PRIVATE_MODE, (file) => {
    for (let at = 0; at < bytes.byteLength; ) at += file.write(bytes, at, bytes.byteLength);
  });
}

/** Whether there is such a file, directory or device; a link is followed. */
export const exists = (path: string): boolean => libc.access(cstring(path), F_OK) === 0;

export const files: Files = {
  open: (path, mode) => descriptorFile(openOrCreate(path, FLAGS[mode] | ALWAYS)),
  readText,
  replaceText(path, text) {
    const beside = `${path}.new`;
    writeText(beside, O_TRUNC, text);
    check(libc.rename(cstring(beside), cstring(path)), "rename", path);
  },
  touch: (path) => writeText(path, 0, ""),
  exists,
  names: (directory) => namesIn(directory) ?? [],
  remove(path) {
    check(libc.unlink(cstring(path)), "unlink", path);
  },
};
