/** Listing directories without an exception for one that is missing (getdents(2)). */
import { ptr } from "bun:ffi";
import { cstring, libc } from "./libc.ts";

const O_DIRECTORY = process.arch === "x64" ? 0o200000 : 0o40000;
const O_CLOEXEC = 0o2000000;
const SYS_GETDENTS64 = process.arch === "x64" ? 217 : 61;

/** struct linux_dirent64: the length of the entry, and its name, which ends with NUL. */
const ENTRY = { length: 16, name: 19 } as const;
const entries = Buffer.alloc(32 * 1024);
const entriesPointer = ptr(entries);

/** The names in a directory, in no order, without `.` and `..`; undefined when it cannot be opened. */
export function namesIn(path: string): string[] | undefined {
  const fd = libc.open(cstring(path), O_DIRECTORY | O_CLOEXEC, 0);
  if (fd < 0) return undefined;
  const names: string[] = [];
  for (;;) {
    const count = Number(libc.syscall(SYS_GETDENTS64, fd, entriesPointer, entries.byteLength, 0));
    if (count <= 0) break;
    for (let at = 0; at < count; at += entries.readUInt16LE(at + ENTRY.length)) {
      const name = entries.toString("utf8", at + ENTRY.name, entries.indexOf(0, at + ENTRY.name));
      if (name !== "." && name !== "..") names.push(name);
    }
  }
  libc.close(fd);
  return names;
}
