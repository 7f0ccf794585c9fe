import { describe, expect, test } from "bun:test";
import { ArgumentError, readArguments } from "../../src/cli/arguments.ts";
import { printJson, render } from "../../src/cli/render.ts";
import { command } from "../../src/dialect/qga/command.ts";
import { boolean, enumeration, int64, list, optional, string, struct } from "../../src/dialect/qga/wire.ts";
import type { Json } from "../../src/framing/json.ts";

const known = command({
  name: "guest-known",
  since: "0",
  summary: "",
  arguments: {
    text: string,
    maybe: optional(string),
    choice: optional(enumeration(["1", "2"])),
    count: optional(int64),
    flag: optional(boolean),
    arg: optional(list(string)),
    numbers: optional(list(int64)),
    things: optional(list(struct({ id: int64 }))),
  },
  returns: struct({}),
  run: () => ({}),
});

describe("arguments", () => {
  test.each<[words: string[], expected: { [name: string]: Json }]>([
    [[], {}],
    [["text=1"], { text: "1" }],
    [["text=true", "maybe=null", "choice=1"], { text: "true", maybe: "null", choice: "1" }],
    [["text=a=b", "maybe="], { text: "a=b", maybe: "" }],
    [["count=-5", "flag=true"], { count: -5, flag: true }],
    [["count=9223372036854775807"], { count: 9223372036854775807n }],
    [["count=x", "flag=yes"], { count: "x", flag: "yes" }],
    [["arg=1"], { arg: ["1"] }],
    [["arg=-l", "arg=", "arg=a b"], { arg: ["-l", "", "a b"] }],
    [['arg=["a", "b"]'], { arg: ["a", "b"] }],
    [["arg=[a"], { arg: ["[a"] }],
    [["arg=[]"], { arg: [] }],
    [["numbers=1", "numbers=2"], { numbers: [1, 2] }],
    [['things=[{"id": 1}]'], { things: [{ id: 1 }] }],
    [['things={"id": 1}', 'things={"id": 2}'], { things: [{ id: 1 }, { id: 2 }] }],
    [["other=1"], { other: 1 }],
    [["__proto__=1"], Object.fromEntries([["__proto__", 1]])],
  ])("%j", (words, expected) => {
    expect(readArguments(words, known)).toEqual(expected);
  });

  test.each<[words: string[], expected: { [name: string]: Json }]>([
    [["a=1", "b=x", "c=true", "d=null", 'e="1"'], { a: 1, b: "x", c: true, d: null, e: "1" }],
    [["a=[1, 2]", 'b={"c": [1]}'], { a: [1, 2], b: { c: [1] } }],
    [["a=1", "a=x"], { a: [1, "x"] }],
    [["a=1e999", "b=01", "c=-"], { a: "1e999", b: "01", c: "-" }],
  ])("of an unknown command: %j", (words, expected) => {
    expect(readArguments(words, undefined)).toEqual(expected);
  });

  test.each([["x"], ["=x"], [""]])("%j is none", (word) => {
    expect(() => readArguments([word], known)).toThrow(ArgumentError);
  });
});

describe("JSON", () => {
  test.each<[value: Json, text: string]>([
    [{}, "{}"],
    [{ a: [1, 2n ** 63n, "ä\n", null] }, '{"a": [1, 9223372036854775808, "ä\\n", null]}'],
    ["\x1b[2J\x9b2J\x7f", '"\\u001b[2J\\u009b2J\\u007f"'],
  ])("%#", (value, text) => {
    expect(printJson(value)).toBe(text);
    if (typeof value === "string") expect(JSON.parse(text)).toBe(value);
  });
});

describe("tables", () => {
  test.each<[value: Json, lines: string[]]>([
    [{}, ["ok"]],
    [[], ["none"]],
    ["frozen", ["frozen"]],
    [3, ["3"]],
    [
      ["a", "b"],
      ["a", "b"],
    ],
    [{ a: 1, long: "x", list: [1, 2], empty: [] }, ["a      1", "long   x", "list   1, 2", "empty  -"]],
    [
      [
        { id: 1, name: "a", inner: { x: true } },
        { id: 22, name: "ä", inner: {} },
      ],
      ["id  name  inner.x", " 1  a     true", "22  ä     -"],
    ],
    [{ a: { b: 1 }, c: [{ d: 1 }] }, ["a", "  b  1", "c", "  d", "  1"]],
    [{ a: "\x1b[2J" }, ["a  \\u001b[2J"]],
  ])("%j", (value, lines) => {
    expect(render(value, 80)).toBe(`${lines.join("\n")}\n`);
  });

  test("a table that is too wide becomes paragraphs", () => {
    const rows = [
      { name: "a", text: "x".repeat(20) },
      { name: "b", text: "y" },
    ];
    expect(render(rows, 30).split("\n")).toHaveLength(4);
    expect(render(rows, 20)).toBe(`name  a\ntext  ${"x".repeat(20)}\n\nname  b\ntext  y\n`);
  });
});
