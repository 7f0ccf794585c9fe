/**
 * Takes out of a finished executable the data of Bun that the agent never uses. It is overwritten with zeros, for what
 * lies behind it has its address; compressed, as packages are, nothing is left of it.
 */
import { readFileSync, writeFileSync } from "node:fs";

/**
 * What stays of ICU's data, by folder of its package: what belongs to no language, and English. For other languages ICU
 * falls back to English or to its root. The names of languages, regions and units and the rules where words end are
 * gone altogether: what wants them throws. JavaScriptCore ends the process where it misses some of these.
 */
const KEPT_ICU_DATA: Readonly<Record<string, readonly string[]>> = {
  "": [
    // Which languages there are, what their bundles share, the root of all; POSIX is the language of LANG=C.
    ...["res_index.res", "pool.res", "root.res", "en.res", "en_US_POSIX.res"],
    // Time zones and calendars.
    ...["zoneinfo64.res", "timezoneTypes.res", "metaZones.res", "windowsZones.res", "supplementalData.res"],
    ...["dayPeriods.res"],
    // Tags of languages.
    ...["langInfo.res", "metadata.res", "keyTypeData.res"],
    // Numbers.
    ...["numberingSystems.res", "plurals.res", "pluralRanges.res"],
    // Normal forms, names of hosts, properties of characters.
    ...["nfkc.nrm", "uts46.nrm", "uemoji.icu", "ulayout.icu"],
  ],
  // The order of text.
  coll: ["res_index.res", "ucadata.icu"],
  // Any formatting of numbers reads it.
  curr: ["pool.res", "root.res", "en.res", "supplementalData.res"],
  // Names of time zones, with which a date as text ends.
  zone: ["pool.res", "root.res", "en.res"],
};

/** ICU's common data (its `ucmndata.h`): a header, a table of contents, names, items; offsets are from the table. */
const PACKAGE = {
  /** In the header, behind its own size: a magic number, then what kind of data for what machine it is. */
  mark: Buffer.from("\xda\x27\x14\0\0\0\0\0\x02\0CmnD", "latin1"),
  headerSize: -2,
  /** The table begins with the number of its lines. */
  lines: 4,
  line: { size: 8, name: 0, item: 4 },
};

/** An item of ICU's package; positions are in the executable. */
interface Item {
  /** Its folder and name. */
  readonly path: string;
  readonly line: Uint8Array;
  readonly name: { readonly begin: number; readonly end: number };
  readonly begin: number;
}

/** A part of the executable. */
export interface Range {
  readonly begin: number;
  readonly end: number;
}

function readItems(bytes: Buffer, table: number): Item[] {
  return Array.from({ length: bytes.readUInt32LE(table) }, (_, index) => {
    const at = table + PACKAGE.lines + index * PACKAGE.line.size;
    const begin = table + bytes.readUInt32LE(at + PACKAGE.line.name);
    const name = { begin, end: bytes.indexOf(0, begin) };
    const inPackage = bytes.toString("latin1", name.begin, name.end);
    return {
      path: inPackage.slice(inPackage.indexOf("/") + 1),
      line: Uint8Array.from(bytes.subarray(at, at + PACKAGE.line.size)),
      name,
      begin: table + bytes.readUInt32LE(at + PACKAGE.line.item),
    };
  });
}

/**
 * Leaves `kept` in ICU's package, by folder. The other items lose their lines in the table of contents, as in a package
 * that never had them, and their bytes; the last one only its line, as nothing tells where it ends. What stays seems to
 * reach to the next that stays, which is only too long: ICU has the lengths from the items themselves.
 * @returns where the package is
 * @throws {Error} when the package is not there once, its items are in another order, or one of `kept` is not in it
 */
export function thinIcuData(bytes: Buffer, kept: Readonly<Record<string, readonly string[]>>): Range {
  const mark = bytes.indexOf(PACKAGE.mark);
  if (mark < 0 || bytes.indexOf(PACKAGE.mark, mark + 1) >= 0) throw new Error("ICU's data is not there once");
  const begin = mark + PACKAGE.headerSize;
  const table = begin + bytes.readUInt16LE(begin);
  const items = readItems(bytes, table);
  const wanted = new Set(
    Object.entries(kept).flatMap(([folder, names]) => names.map((name) => (folder ? `${folder}/${name}` : name))),
  );
  const missing = wanted.difference(new Set(items.map(({ path }) => path)));
  if (missing.size > 0) throw new Error(`ICU's data has no ${Array.from(missing).join(", ")}`);
  if (items.some((item, index) => item.begin > (items[index + 1]?.begin ?? Infinity))) {
    throw new Error("the items of ICU's data are not in the order of their names");
  }

  for (const [index, { path, name, begin }] of items.entries()) {
    if (wanted.has(path)) continue;
    bytes.fill(0, name.begin, name.end);
    bytes.fill(0, begin, items[index + 1]?.begin ?? begin);
  }
  const lines = items.filter(({ path }) => wanted.has(path)).map(({ line }) => line);
  const first = table + PACKAGE.lines;
  bytes.fill(0, first, first + items.length * PACKAGE.line.size);
  bytes.set(Buffer.concat(lines), first);
  bytes.writeUInt32LE(lines.length, table);
  return { begin, end: items.at(-1)?.begin ?? table };
}

/** A frame of Zstandard (RFC 8878, 3.1.1). */
const FRAME = {
  mark: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]),
  /** Length of the number of the dictionary, by two bits of the descriptor. */
  dictionary: [0, 1, 2, 4],
  /** Length of the size of the content, by two other bits. */
  contentSize: [0, 2, 4, 8],
  blockHeader: 3,
  checksum: 4,
};
const BLOCK_REPEATS_A_BYTE = 1;

/** Where the frame that begins at `begin` ends, if it is one; undefined when it would end behind the last byte. */
function endOfFrame(bytes: Buffer, begin: number): number | undefined {
  let at = begin + FRAME.mark.length;
  const descriptor = bytes[at++] ?? 0;
  const isOneSegment = (descriptor & 0x20) !== 0;
  const window = isOneSegment ? 0 : 1;
  const contentSize = FRAME.contentSize[descriptor >> 6] || (isOneSegment ? 1 : 0);
  at += window + (FRAME.dictionary[descriptor & 3] ?? 0) + contentSize;
  for (let isLast = false; !isLast; ) {
    if (at + FRAME.blockHeader > bytes.length) return undefined;
    const header = bytes.readUIntLE(at, FRAME.blockHeader);
    isLast = (header & 1) !== 0;
    at += FRAME.blockHeader + (((header >> 1) & 3) === BLOCK_REPEATS_A_BYTE ? 1 : header >> 3);
  }
  at += (descriptor & 0x04) === 0 ? 0 : FRAME.checksum;
  return at <= bytes.length ? at : undefined;
}

function unpacks(frame: Uint8Array): boolean {
  try {
    Bun.zstdDecompressSync(frame);
    return true;
  } catch {
    return false;
  }
}

/**
 * Overwrites every file that is packed as a Zstandard frame: libraries and messages of Bun's TypeScript, rules of its
 * linter, scripts of its bundler for browsers, completions of its command line. The agent has none of its own.
 * @param spared where bytes stay as they are
 * @returns how many there were
 */
export function dropPackedFiles(bytes: Buffer, spared: Range): number {
  let count = 0;
  for (let at = bytes.indexOf(FRAME.mark); at >= 0; at = bytes.indexOf(FRAME.mark, at + 1)) {
    if (at >= spared.begin && at < spared.end) continue;
    const end = endOfFrame(bytes, at);
    if (end === undefined || !unpacks(bytes.subarray(at, end))) continue;
    bytes.fill(0, at, end);
    count++;
  }
  return count;
}

/**
 * Overwrites in a finished executable what the agent never uses of Bun's data.
 * @throws {Error} when Bun has it no longer, or in another form
 */
export function dropUnusedData(path: string): void {
  const bytes = readFileSync(path);
  try {
    const icu = thinIcuData(bytes, KEPT_ICU_DATA);
    if (dropPackedFiles(bytes, icu) === 0) throw new Error("there are no packed files");
  } catch (error) {
    throw new Error(`${path} has other data than expected`, { cause: error });
  }
  writeFileSync(path, bytes);
}
