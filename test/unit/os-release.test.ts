import { expect, test } from "bun:test";
import { parseOsRelease } from "../../platform/linux/os-release.ts";

/** Lines, and what the name X is then. */
const CASES: readonly (readonly [text: string, value: string | undefined])[] = [
  ["X=plain", "plain"],
  ["X=", ""],
  ['X=""', ""],
  ["X=''", ""],
  ['X="two words"', "two words"],
  ["X='two words'", "two words"],
  ["X=two words", "two"],
  ["X=a;b", "a"],
  ["  X = y", "y"],
  ["X=crlf\r\nY=1\r\n", "crlf"],
  ['X="crlf"\r\n', "crlf"],
  ['X="\\$1 \\"q\\" \\\\ \\`c\\` \\n"', '$1 "q" \\ `c` \\n'],
  ["X='\\$ \"'", '\\$ "'],
  ['X="no end', "no end"],
  ['X="end" # comment', "end"],
  ["#X=1", undefined],
  ["X", undefined],
  ["=X", undefined],
  ["1X=1", undefined],
  ["XX=1", undefined],
  ["X=1\nX=2", "2"],
  ["Y=1\n\n\tX=3", "3"],
  ["X=\u00fc \u{1f427}", "\u00fc"],
  ["", undefined],
  ["\0\0X=1", undefined],
];

test.each(CASES)("%j", (text, value) => {
  expect(parseOsRelease(text).get("X")).toBe(value!);
});
