import { describe, expect, test } from "bun:test";
import { dropPackedFiles, thinIcuData } from "../../build-data.ts";

interface Options {
  /** Bytes in front of the package. */
  readonly lead?: number;
  /** In which order the items lie, by their place in the table. */
  readonly order?: readonly number[];
}

/** ICU's common data as `icupkg` writes it, each item 16 bytes long. */
function packageOf(contents: Readonly<Record<string, string>>, { lead = 0, order }: Options = {}): Buffer {
  const names = Object.keys(contents).map((path) => `icudt78l/${path}\0`);
  const places = order ?? names.map((_, index) => index);
  const header = Buffer.alloc(32);
  header.writeUInt16LE(header.length, 0);
  header.write("\xda\x27\x14\0\0\0\0\0\x02\0CmnD", 2, "latin1");
  const table = Buffer.alloc(4 + names.length * 8);
  table.writeUInt32LE(names.length);
  let name = table.length;
  const firstItem = name + names.join("").length;
  for (const [index, text] of names.entries()) {
    table.writeUInt32LE(name, 4 + index * 8);
    table.writeUInt32LE(firstItem + (places[index] ?? 0) * 16, 8 + index * 8);
    name += text.length;
  }
  const items = Object.values(contents).map((text) => Buffer.from(text.padEnd(16, ".")));
  const sorted = items.map((_, place) => items[places.indexOf(place)] ?? "");
  return Buffer.concat([
    Buffer.alloc(lead, "<"),
    header,
    table,
    Buffer.from(names.join("")),
    ...sorted.map(Buffer.from),
  ]);
}

/** The items that ICU finds in the package at `begin`. */
function contentsOf(bytes: Buffer, begin: number): Record<string, string> {
  const table = begin + bytes.readUInt16LE(begin);
  return Object.fromEntries(
    Array.from({ length: bytes.readUInt32LE(table) }, (_, index) => {
      const name = table + bytes.readUInt32LE(table + 4 + index * 8);
      const item = table + bytes.readUInt32LE(table + 8 + index * 8);
      return [bytes.toString("latin1", name, bytes.indexOf(0, name)), bytes.toString("latin1", item, item + 4)];
    }),
  );
}

const CONTENTS = { "coll/de.res": "CODE", "coll/en.res": "COEN", "de.res": "GERM", "en.res": "ENGL", "zu.res": "ZULU" };

describe("ICU's data", () => {
  test("keeps what is named, as a package of just that", () => {
    const bytes = packageOf(CONTENTS, { lead: 7 });
    const length = bytes.length;
    expect(thinIcuData(bytes, { "": ["en.res"], coll: ["en.res"] })).toEqual({ begin: 7, end: length - 16 });
    expect(bytes.length).toBe(length);
    expect(contentsOf(bytes, 7)).toEqual({ "icudt78l/coll/en.res": "COEN", "icudt78l/en.res": "ENGL" });
  });

  test("has nothing of the others, except the bytes of the last", () => {
    const bytes = packageOf(CONTENTS);
    thinIcuData(bytes, { "": ["en.res"] });
    const strings = bytes.toString("latin1").match(/[\x20-\x7e]{4,}/g);
    expect(strings).toEqual(["CmnD", "icudt78l/en.res", "ENGL............ZULU............"]);
  });

  test("keeps the last", () => {
    const bytes = packageOf(CONTENTS);
    thinIcuData(bytes, { "": ["zu.res"] });
    expect(contentsOf(bytes, 0)).toEqual({ "icudt78l/zu.res": "ZULU" });
  });

  test.each([
    ["not there", Buffer.from("CmnD, but nothing else"), {}, "is not there once"],
    ["there twice", Buffer.concat([packageOf(CONTENTS), packageOf(CONTENTS)]), {}, "is not there once"],
    ["without an item", packageOf(CONTENTS), { "": ["en.res", "fr.res"], coll: ["fr.res"] }, "no fr.res, coll/fr.res"],
    ["in another order", packageOf(CONTENTS, { order: [1, 0, 2, 3, 4] }), { "": ["en.res"] }, "in the order"],
  ])("is refused when %s, and left alone", (_what, bytes, kept, message) => {
    const before = Buffer.from(bytes);
    expect(() => thinIcuData(bytes, kept)).toThrow(message);
    expect(bytes.equals(before)).toBe(true);
  });
});

describe("packed files", () => {
  const NOWHERE = { begin: 0, end: 0 };
  const text = "the quick brown fox ".repeat(40);
  /** 400 000 times "a" as zstd(1) packs a pipe: of unknown size, with a checksum and blocks that repeat a byte. */
  const piped = Buffer.from("28b52ffd04585400001061610100fbff39c002020010610200106103d40061c56034e3", "hex");

  test("become zeros, and nothing beside them", () => {
    const frames = [
      Bun.zstdCompressSync(text),
      Bun.zstdCompressSync(""),
      Bun.zstdCompressSync(crypto.getRandomValues(Buffer.alloc(60_000))),
      Bun.zstdCompressSync(Buffer.alloc(300_000, text), { level: 1 }),
      piped,
    ];
    const bytes = Buffer.concat(["<", ...frames.flatMap((frame) => [frame, ">|<"])].map((part) => Buffer.from(part)));
    const expected = ["<", ...frames.flatMap((frame) => ["\0".repeat(frame.length), ">|<"])].join("");
    expect(dropPackedFiles(bytes, NOWHERE)).toBe(frames.length);
    expect(bytes.equals(Buffer.from(expected))).toBe(true);
  });

  test("stay where they are spared", () => {
    const frame = Bun.zstdCompressSync(text);
    const bytes = Buffer.concat([frame, frame, frame]);
    expect(dropPackedFiles(bytes, { begin: frame.length, end: frame.length * 2 })).toBe(2);
    expect(bytes.equals(Buffer.concat([Buffer.alloc(frame.length), frame, Buffer.alloc(frame.length)]))).toBe(true);
  });

  const packed = Bun.zstdCompressSync(text);
  test.each([
    ["cut off", packed.subarray(0, -1)],
    ["without their checksum", piped.subarray(0, -4)],
    ["damaged", Buffer.concat([packed.subarray(0, 12), Buffer.alloc(packed.length - 12, 0xff)])],
    ["a number in code", Buffer.from("81f928b52ffd0f85b7000000", "hex")],
    ["at the very end", Buffer.from("28b52ffd", "hex")],
  ])("are not taken for such when %s", (_what, given) => {
    const bytes = Buffer.from(given);
    expect(dropPackedFiles(bytes, NOWHERE)).toBe(0);
    expect(bytes.equals(given)).toBe(true);
  });
});
