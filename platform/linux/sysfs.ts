/** Small files and directories of sysfs, procfs and the udev database. */
import { readdirSync } from "node:fs";
import { check, cstring, libc, systemError } from "./libc.ts";

const O_RDONLY = 0;
const O_DIRECTORY = 0o200000;
const O_CLOEXEC = 0o2000000;
/** Paths are absolute, or relative to the working directory (openat(2)). */
const AT_FDCWD = -100;

/** More than any of them: an attribute is at most a page (Documentation/filesystems/sysfs.rst). */
const buffer = Buffer.alloc(65_536);

/**
 * The content of an attribute.
 * @param directory what `openDirectory` gave, when the path is relative to that
 * @returns a view that holds until the next read; undefined when it is not there or cannot be read
 */
export function readBytes(path: string, directory = AT_FDCWD): Buffer | undefined {
  const fd = libc.openat(directory, cstring(path), O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return undefined;
  const count = Number(libc.read(fd, buffer, buffer.byteLength));
  libc.close(fd);
  return count < 0 ? undefined : buffer.subarray(0, count);
}

/** The content of an attribute as text without blanks around it; undefined when it is not there or cannot be read. */
export function readText(path: string): string | undefined {
  return readBytes(path)?.toString("utf8").trim();
}

/** Lines `NAME=value`, each after `prefix`, by name; undefined when the file is not there or cannot be read. */
export function readProperties(path: string, prefix = ""): ReadonlyMap<string, string> | undefined {
  const text = readBytes(path)?.toString("utf8");
  if (text === undefined) return undefined;
  const properties = new Map<string, string>();
  for (const line of text.split("\n")) {
    const equals = line.indexOf("=");
    if (equals < 0 || !line.startsWith(prefix)) continue;
    properties.set(line.slice(prefix.length, equals), line.slice(equals + 1));
  }
  return properties;
}

/** Opens a directory to read below it, which is quicker than by whole paths. Close it. @throws SystemError */
export function openDirectory(path: string): number {
  return check(libc.open(cstring(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), "open", path);
}

/** What is in a directory, in the kernel's order. @throws SystemError */
export function listNames(directory: string): string[] {
  return throwingSystemErrors("opendir", directory, () => readdirSync(directory));
}

/** What is in a directory, in the kernel's order; undefined when it is not there or cannot be read. */
export function namesIn(directory: string): string[] | undefined {
  try {
    return readdirSync(directory);
  } catch {
    return undefined;
  }
}

/** Does it, and turns what node:fs throws into the error of the system call that was behind it. */
export function throwingSystemErrors<T>(call: string, subject: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const number = error instanceof Error && "errno" in error ? error.errno : undefined;
    throw typeof number === "number" ? systemError(call, Math.abs(number), subject) : error;
  }
}
