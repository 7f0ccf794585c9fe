import { describe, expect, test } from "bun:test";
import {
  escapeKeyFileString,
  KeyFileError,
  KeyFileValueError,
  keyFileBoolean,
  keyFileString,
  parseKeyFile,
  printKeyFile,
} from "../../src/config/keyfile.ts";

const read = (text: string): string[] =>
  parseKeyFile(text).map(({ group, key, raw, line }) => `${line}:${group}.${key}=${raw}`);

describe("entries", () => {
  test.each<[text: string, expected: string[]]>([
    ["", []],
    ["\n\n#x\n", []],
    ["[g]\na=b\n", ["2:g.a=b"]],
    ["[g]\na=b", ["2:g.a=b"]],
    ["\ufeff[g]\na=b", ["2:g.a=b"]],
    ["[g]\r\na=b\r\n", ["2:g.a=b"]],
    ["  [g]  \n\t a \t=\t b \t", ["2:g.a=b \t"]],
    ["[g]\na=", ["2:g.a="]],
    ["[g]\na==b=c", ["2:g.a==b=c"]],
    ["[g]\na=#b", ["2:g.a=#b"]],
    [" # [x]\n[g]", []],
    ["[g]\na=1\n[h]\na=2\n[g]\na=3", ["2:g.a=1", "4:h.a=2", "6:g.a=3"]],
    ["[g]\na[de]=1\na=2", ["3:g.a=2"]],
    ["[a b/c]\nx y=1", ["2:a b/c.x y=1"]],
  ])("%j", (text, expected) => {
    expect(read(text)).toEqual(expected);
  });
});

describe("what is no key file", () => {
  test.each<[text: string, line: number]>([
    ["a=b", 1],
    ["[g]\nfoo", 2],
    ["[g]\n=b", 2],
    ["[g\na=b", 1],
    ["[g] x\na=b", 1],
    ["[]\na=b", 1],
    ["[a[b]\n", 1],
    ["[g]\n\n#\na[=b", 4],
  ])("%j", (text, line) => {
    expect(() => parseKeyFile(text)).toThrow(KeyFileError);
    try {
      parseKeyFile(text);
    } catch (error) {
      expect(error).toHaveProperty("line", line);
    }
  });
});

test.each<[raw: string, value: string]>([
  ["", ""],
  ["a b ", "a b "],
  ["\\sa\\tb\\nc\\rd\\\\e", " a\tb\nc\rd\\e"],
  ["a;b,c", "a;b,c"],
  ['"a"', '"a"'],
])("the value %j", (raw, value) => {
  expect(keyFileString(raw)).toBe(value);
});

test.each(["\\x", "a\\", "\\;"])("the value %j is none", (raw) => {
  expect(() => keyFileString(raw)).toThrow(KeyFileValueError);
});

test.each<[raw: string, value: boolean | undefined]>([
  ["true", true],
  ["true \t", true],
  ["1", true],
  ["false", false],
  ["0", false],
  ["True", undefined],
  ["yes", undefined],
  ["", undefined],
  ["01", undefined],
])("the boolean %j", (raw, value) => {
  expect(keyFileBoolean(raw)).toBe(value);
});

test.each(["", "a", " a b ", "\t\n\r a\\ \t", "\\s", "ä€😀", "a=b;c#d", "  ", "\n"])(
  "%j is read as it was written",
  (text) => {
    const [entry] = parseKeyFile(printKeyFile("g", [["k", text]]));
    expect(keyFileString(entry?.raw ?? "")).toBe(text);
  },
);

test("booleans are words, blanks need an escape only where they lead", () => {
  expect(
    printKeyFile("g", [
      ["a", true],
      ["b", false],
    ]),
  ).toBe("[g]\na=true\nb=false\n");
  expect(escapeKeyFileString(" a b\tc\n")).toBe("\\sa b\tc\\n");
});
