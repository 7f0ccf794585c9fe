/** Lines of JSON: whatever comes, each good line is read. */
import { describe, expect, test } from "bun:test";
import { type Json, JsonFloat } from "../../src/framing/json.ts";
import { createJsonLines } from "../../src/framing/json-lines.ts";
import { LIMITS } from "../../src/framing/limits.ts";

/** What comes out when the bytes arrive in pieces of a size; `bad` stands for each line that was none. */
function read(input: string | Buffer, eager = false, piece = Number.POSITIVE_INFINITY): (Json | "bad")[] {
  const found: (Json | "bad")[] = [];
  const lines = createJsonLines(
    { object: (value) => found.push(value), bad: () => found.push("bad") },
    () => false,
    eager,
  );
  const bytes = Buffer.from(input);
  for (let at = 0; at < bytes.length; at += piece) {
    const end = Math.min(at + piece, bytes.length);
    expect(lines.push(bytes, at, end)).toBe(end);
  }
  return found;
}

describe.each([false, true])("eager: %p", (eager) => {
  test.each<[name: string, input: string | Buffer, expected: (Json | "bad")[]]>([
    ["two lines", '{"a": 1}\n{"b": [2]}\n', [{ a: 1 }, { b: [2] }]],
    ["blanks and empty lines", '\n \t\r\n {"a": 1} \r\n\n', [{ a: 1 }]],
    ["a half line, then a whole one", '{"a": \n{"b": 2}\n', ["bad", { b: 2 }]],
    ["a half string, then a whole one", '{"a": "x\\\n{"b": 2}\n', ["bad", { b: 2 }]],
    ["no JSON", 'hello\n{"a": 1}\n', ["bad", { a: 1 }]],
    ["no object", '[1]\n7\n"x"\nnull\n{"a": 1}\n', ["bad", "bad", "bad", "bad", { a: 1 }]],
    ["brackets in strings", '{"a": "}]\\"{"}\n', [{ a: '}]"{' }]],
    ["brackets that close nothing", ']}\n{"a": 1}\n', ["bad", { a: 1 }]],
    ["control characters in a string", '{"a": "\u0001"}\n{"b": 2}\n', ["bad", { b: 2 }]],
    ["bytes that are not UTF-8", Buffer.from('{"a": "\xff\xfe"}\n', "latin1"), [{ a: "\ufffd\ufffd" }]],
    [
      "large numbers",
      '{"a": 12345678901234567890, "b": 1.5, "c": -3}\n',
      [{ a: 12345678901234567890n, b: new JsonFloat(1.5), c: -3 }],
    ],
    ["a member named __proto__", '{"__proto__": 1}\n', [JSON.parse('{"__proto__": 1}')]],
    ["too deep", `{"a": ${"[".repeat(LIMITS.depth)}${"]".repeat(LIMITS.depth)}}\n{"b": 2}\n`, ["bad", { b: 2 }]],
    ["too long", `{"a": "${"x".repeat(LIMITS.lineBytes)}"}\n{"b": 2}\n`, ["bad", { b: 2 }]],
    [
      "10 MB without a newline",
      Buffer.concat([Buffer.alloc(10_000_000, "["), Buffer.from('\n{"b": 2}\n')]),
      ["bad", { b: 2 }],
    ],
  ])("%s", (_name, input, expected) => {
    expect(read(input, eager)).toEqual(expected);
    if (input.length < 1000) expect(read(input, eager, 1)).toEqual(expected);
    expect(read(input, eager, 4093)).toEqual(expected);
  });
});

test("an eager one does not wait for the newline", () => {
  expect(read('{"a": {"b": 1}}{"c": 2} {"d', true)).toEqual([{ a: { b: 1 } }, { c: 2 }]);
  expect(read('{"a": 1}', false)).toEqual([]);
});

test("when paused it stops behind the line", () => {
  const found: Json[] = [];
  const lines = createJsonLines({ object: (value) => found.push(value), bad: () => {} }, () => true);
  const bytes = Buffer.from('{"a": 1}\n{"b": 2}\n');
  expect(lines.push(bytes, 0, bytes.length)).toBe(9);
  expect(lines.push(bytes, 9, bytes.length)).toBe(18);
  expect(found).toEqual([{ a: 1 }, { b: 2 }]);
});

test("after a reset the half line is forgotten", () => {
  const found: Json[] = [];
  const lines = createJsonLines({ object: (value) => found.push(value), bad: () => found.push("bad") }, () => false);
  const half = Buffer.from('{"a": "');
  lines.push(half, 0, half.length);
  lines.reset();
  const whole = Buffer.from('{"b": 2}\n');
  lines.push(whole, 0, whole.length);
  expect(found).toEqual([{ b: 2 }]);
});

test("the work grows with the bytes, not with their square", () => {
  const timeOf = (megabytes: number): number => {
    const piece = Buffer.alloc(1000, " ");
    const lines = createJsonLines({ object: () => {}, bad: () => {} }, () => false);
    const begun = performance.now();
    for (let count = 0; count < megabytes * 1000; count++) lines.push(piece, 0, piece.length);
    return performance.now() - begun;
  };
  timeOf(8);
  expect(timeOf(40)).toBeLessThan(12 * Math.max(timeOf(8), 0.5));
});
