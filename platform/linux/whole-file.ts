/** Small files of /proc and /etc, read at once: no look at their size first, and no exception for one that is missing. */
import { ptr } from "bun:ffi";
import { cstring, EINTR, errno, libc, systemError } from "./libc.ts";

/** O_RDONLY, O_NOCTTY, O_NONBLOCK (a name may turn out to be a pipe) and O_CLOEXEC. */
const FLAGS = 0o400 | 0o4000 | 0o2000000;
const FIRST_ROOM = 64 * 1024;

let buffer = Buffer.alloc(FIRST_ROOM);

/** Fills `buffer` from its start. @returns how many bytes; -1 when it failed and errno says why */
function fill(fd: number): number {
  let length = 0;
  for (;;) {
    if (length === buffer.byteLength) buffer = Buffer.concat([buffer], 2 * length);
    const count = Number(libc.read(fd, ptr(buffer, length), buffer.byteLength - length));
    if (count > 0) length += count;
    else if (count === 0) return length;
    else if (errno() !== EINTR) return -1;
  }
}

/** @returns the content, which holds until the next call, or an error number */
function read(path: string): Buffer | number {
  const fd = libc.open(cstring(path), FLAGS, 0);
  if (fd < 0) return errno();
  const length = fill(fd);
  const code = length < 0 ? errno() : 0;
  libc.close(fd);
  return length < 0 ? code : buffer.subarray(0, length);
}

/** The file's content, which holds until the next call here; undefined when there is none that can be read. */
export function contentOf(path: string): Buffer | undefined {
  const content = read(path);
  return typeof content === "number" ? undefined : content;
}

/** The file's text; bytes that are not UTF-8 become U+FFFD. undefined when there is none that can be read. */
export const textOf = (path: string): string | undefined => contentOf(path)?.toString("utf8");

/** As `textOf`. @throws SystemError */
export function requiredText(path: string): string {
  const content = read(path);
  if (typeof content === "number") throw systemError("open", content, path);
  return content.toString("utf8");
}
