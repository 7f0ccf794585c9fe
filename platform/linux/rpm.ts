/**
 * The three formats in which rpm has kept its headers: SQLite (4.16 and later), Berkeley DB (before), NDB (SUSE).
 *
 * A header is an index of tags and the bytes they point to: see "Package format" and "Header structure" in rpm's manual.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { InstalledPackage } from "../../src/guest.ts";

/** Big-endian: the number of index entries and of data bytes, then the entries. */
const HEADER = { entries: 0, dataSize: 4, index: 8, entrySize: 16 } as const;
const ENTRY = { tag: 0, type: 4, offset: 8 } as const;
const STRING_TYPE = 6;
const TAG = { name: 1000, version: 1001, release: 1002 } as const;
/** No tag that is wanted has a text so long. */
const LONGEST_TEXT = 1024;

/** Gives the first bytes of a header, or fewer when it is shorter. */
type HeaderStart = (length: number) => Buffer;

/** The package that a header describes; undefined when it is none. */
export function packageOf(start: HeaderStart): InstalledPackage | undefined {
  const intro = start(HEADER.index);
  if (intro.byteLength < HEADER.index) return undefined;
  const entries = intro.readUInt32BE(HEADER.entries);
  if (entries === 0 || entries > 0xffff) return undefined;
  const data = HEADER.index + entries * HEADER.entrySize;
  const index = start(data);
  if (index.byteLength < data) return undefined;
  const text = (tag: number): string | undefined => {
    for (let at = HEADER.index; at < data; at += HEADER.entrySize) {
      if (index.readUInt32BE(at + ENTRY.tag) !== tag || index.readUInt32BE(at + ENTRY.type) !== STRING_TYPE) continue;
      const from = data + index.readUInt32BE(at + ENTRY.offset);
      const bytes = start(from + LONGEST_TEXT);
      const end = bytes.indexOf(0, from);
      return end < 0 ? undefined : bytes.toString("utf8", from, end);
    }
    return undefined;
  };
  const name = text(TAG.name);
  const version = text(TAG.version);
  const release = text(TAG.release);
  if (name === undefined || version === undefined) return undefined;
  return { name, version, ...(release === undefined ? {} : { release }) };
}

const startOf =
  (blob: Uint8Array): HeaderStart =>
  (length) =>
    Buffer.from(blob.buffer, blob.byteOffset, Math.min(length, blob.byteLength));

/** Asks for the headers by the index of names. */
export function readSqlite(path: string, names: readonly string[]): InstalledPackage[] {
  // Only a guest with such a database pays for the library.
  const { Database }: typeof import("bun:sqlite") = require("bun:sqlite");
  const database = new Database(path, { readonly: true });
  try {
    const query = database.query<{ blob: Uint8Array }, [string]>(
      "SELECT blob FROM Packages WHERE hnum IN (SELECT hnum FROM Name WHERE key = ?)",
    );
    return names.flatMap((name) => query.all(name).flatMap(({ blob }) => packageOf(startOf(blob)) ?? []));
  } finally {
    database.close();
  }
}

/** Reads pieces of a file by their place; pieces beyond its end are short. */
function withFile<T>(path: string, action: (read: (at: number, length: number) => Buffer, size: number) => T): T {
  const fd = openSync(path, "r");
  try {
    return action((at, length) => {
      const bytes = Buffer.alloc(length);
      return bytes.subarray(0, readSync(fd, bytes, 0, length, at));
    }, fstatSync(fd).size);
  } finally {
    closeSync(fd);
  }
}

/** A hash database of Berkeley DB (its db_page.h), as little-endian machines write it. */
const BDB = { magic: 0x061561, magicAt: 12, pageSizeAt: 20, lastPageAt: 32 } as const;
const PAGE = { next: 16, entries: 20, freeOffset: 22, type: 25, header: 26 } as const;
const HASH_PAGES = [2, 13];
const OFF_PAGE = 3;
const OFF_PAGE_ITEM = { type: 0, page: 4, length: 8, size: 12 } as const;

/** Headers lie on chains of pages of their own, of which mostly the first tells all that is wanted. */
export function readBerkeleyDb(path: string, names: readonly string[]): InstalledPackage[] {
  return withFile(path, (read, size) => {
    const meta = read(0, 512);
    if (meta.byteLength < 512 || meta.readUInt32LE(BDB.magicAt) !== BDB.magic) return [];
    const pageSize = meta.readUInt32LE(BDB.pageSizeAt);
    const lastPage = Math.min(meta.readUInt32LE(BDB.lastPageAt), Math.floor(size / pageSize) - 1);
    const page = (number: number): Buffer => read(number * pageSize, pageSize);

    const chain = (first: number, total: number): HeaderStart => {
      let got = Buffer.alloc(0);
      let next = first;
      return (length) => {
        while (got.byteLength < Math.min(length, total) && next > 0 && next <= lastPage) {
          const bytes = page(next);
          const used = bytes.readUInt16LE(PAGE.freeOffset);
          got = Buffer.concat([got, bytes.subarray(PAGE.header, PAGE.header + used)]);
          next = used === 0 ? 0 : bytes.readUInt32LE(PAGE.next);
        }
        return got.subarray(0, length);
      };
    };

    const found: InstalledPackage[] = [];
    for (let number = 1; number <= lastPage; number++) {
      const bytes = page(number);
      if (bytes.byteLength < pageSize || !HASH_PAGES.includes(bytes.readUInt8(PAGE.type))) continue;
      const entries = Math.min(bytes.readUInt16LE(PAGE.entries), (pageSize - PAGE.header) >> 1);
      // Keys and values take turns.
      for (let entry = 1; entry < entries; entry += 2) {
        const at = bytes.readUInt16LE(PAGE.header + 2 * entry);
        if (at + OFF_PAGE_ITEM.size > pageSize || bytes[at + OFF_PAGE_ITEM.type] !== OFF_PAGE) continue;
        const start = chain(bytes.readUInt32LE(at + OFF_PAGE_ITEM.page), bytes.readUInt32LE(at + OFF_PAGE_ITEM.length));
        const entryPackage = packageOf(start);
        if (entryPackage !== undefined && names.includes(entryPackage.name)) found.push(entryPackage);
      }
    }
    return found;
  });
}

/** rpm's own format, `Packages.db`: pages of slots that point to blobs in blocks of 16 bytes. */
const NDB = { magic: 0x506d7052, slotPagesAt: 12, headerSize: 32, pageSize: 4096, blockSize: 16 } as const;
const SLOT = { magic: 0x746f6c53, index: 4, block: 8, size: 16 } as const;
const BLOB = { magic: 0x53626c42, length: 12, size: 16 } as const;
const MOST_SLOT_PAGES = 4096;

export function readNdb(path: string, names: readonly string[]): InstalledPackage[] {
  return withFile(path, (read) => {
    const intro = read(0, NDB.headerSize);
    if (intro.byteLength < NDB.headerSize || intro.readUInt32LE(0) !== NDB.magic) return [];
    const slots = read(0, Math.min(intro.readUInt32LE(NDB.slotPagesAt), MOST_SLOT_PAGES) * NDB.pageSize);
    const found: InstalledPackage[] = [];
    for (let at = NDB.headerSize; at + SLOT.size <= slots.byteLength; at += SLOT.size) {
      if (slots.readUInt32LE(at) !== SLOT.magic || slots.readUInt32LE(at + SLOT.index) === 0) continue;
      const blob = slots.readUInt32LE(at + SLOT.block) * NDB.blockSize;
      const head = read(blob, BLOB.size);
      if (head.byteLength < BLOB.size || head.readUInt32LE(0) !== BLOB.magic) continue;
      const total = head.readUInt32LE(BLOB.length);
      const entry = packageOf((length) => read(blob + BLOB.size, Math.min(length, total)));
      if (entry !== undefined && names.includes(entry.name)) found.push(entry);
    }
    return found;
  });
}

const DIRECTORIES = ["/var/lib/rpm", "/usr/lib/sysimage/rpm"];

/** In the places that distributions use; rpm keeps one of them. */
export const RPM_DATABASES = DIRECTORIES.flatMap((directory) => [
  { path: `${directory}/rpmdb.sqlite`, read: readSqlite },
  { path: `${directory}/Packages`, read: readBerkeleyDb },
  { path: `${directory}/Packages.db`, read: readNdb },
]);
