/** Writes cpio archives of the "newc" kind, the form of a Linux initramfs (kernel: driver-api/early-userspace/buffer-format). */

import { dirname } from "node:path";

/** One member of an archive; `path` is absolute in the guest. Parent folders come by themselves. */
export type CpioEntry =
  | { kind: "file"; path: string; mode: number; bytes: Uint8Array }
  | { kind: "folder"; path: string; mode: number }
  | { kind: "link"; path: string; target: string };

const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;

/** The archive's bytes in pieces, in order. All owners are root, all times 0, so that equal input gives equal bytes. */
export function* cpioArchive(entries: Iterable<CpioEntry>): Generator<Uint8Array> {
  const folders = new Set<string>(["/"]);
  for (const entry of entries) {
    yield* parents(entry.path, folders);
    if (entry.kind === "folder") {
      if (!folders.has(entry.path)) yield* member(entry.path, S_IFDIR | entry.mode, new Uint8Array());
      folders.add(entry.path);
    } else if (entry.kind === "link") {
      yield* member(entry.path, S_IFLNK | 0o777, Buffer.from(entry.target));
    } else {
      yield* member(entry.path, S_IFREG | entry.mode, entry.bytes);
    }
  }
  yield* member("/TRAILER!!!", 0, new Uint8Array());
}

function* parents(path: string, known: Set<string>): Generator<Uint8Array> {
  const parent = dirname(path);
  if (known.has(parent)) return;
  yield* parents(parent, known);
  known.add(parent);
  yield* member(parent, S_IFDIR | 0o755, new Uint8Array());
}

function* member(path: string, mode: number, bytes: Uint8Array): Generator<Uint8Array> {
  const name = Buffer.from(`${path.slice(1)}\0`);
  const links = 1;
  // inode 0 for all is fine as long as no member has more than one link.
  const fields = [0, mode, 0, 0, links, 0, bytes.length, 0, 0, 0, 0, name.length, 0];
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`);
  yield header;
  yield name;
  yield padding(header.length + name.length);
  yield bytes;
  yield padding(bytes.length);
}

function padding(length: number): Uint8Array {
  return new Uint8Array(-length & 3);
}
