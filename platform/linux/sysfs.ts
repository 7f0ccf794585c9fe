/** Small files of sysfs, procfs and the udev database. */
import { cstring, libc } from "./libc.ts";

const O_RDONLY = 0;
const O_CLOEXEC = 0o2000000;

/** More than any of them: an attribute is at most a page (Documentation/filesystems/sysfs.rst). */
const buffer = Buffer.alloc(65_536);

/**
 * The content of an attribute.
 * @returns a view that holds until the next read; undefined when it is not there or cannot be read
 */
export function readBytes(path: string): Buffer | undefined {
  const fd = libc.open(cstring(path), O_RDONLY | O_CLOEXEC, 0);
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
