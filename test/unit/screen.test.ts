/** The picture of a terminal: what is seen after a program has written. */
import { describe, expect, test } from "bun:test";
import { drawScreen, screenOf } from "../../docs/screen.ts";

const shown = (output: string, columns = 20): string[] =>
  screenOf(output, columns).map((cells) => cells.map(({ character }) => character).join(""));

describe("a screen", () => {
  test.each<[name: string, output: string, rows: string[]]>([
    ["lines", "one\r\ntwo", ["one", "two"]],
    ["a line feed alone goes straight down", "one\ntwo", ["one", "   two"]],
    ["a progress bar writes over itself", "\r\x1b[K 10% [>   ]\r\x1b[K 50% [=>  ]", [" 50% [=>  ]"]],
    ["what is longer stays", "long line\rshort", ["shortline"]],
    ["erasing to the end", "long line\r\x1b[Kab", ["ab"]],
    ["a step back", "ab\bc", ["ac"]],
    ["colours take no room", "\x1b[32m$\x1b[0m \x1b[1mls\x1b[0m", ["$ ls"]],
    ["a character of several bytes is one", "…→", ["…→"]],
    ["what does not fit goes on below", "0123456789012345678901234", ["01234567890123456789", "01234"]],
    ["a full line does not need another one", "01234567890123456789\r\nnext", ["01234567890123456789", "next"]],
  ])("%s", (_name, output, rows) => {
    expect(shown(output)).toEqual(rows);
  });

  test.each(["\x1b[2J", "\x1b[1K", "\x1b[38;5;1mred", "\x07", "\x1b]0;title\x07"])(
    "%j is not passed over",
    (output) => {
      expect(() => screenOf(output, 20)).toThrow();
    },
  );
});

describe("its picture", () => {
  const picture = drawScreen(
    screenOf("\x1b[32m$\x1b[0m \x1b[1mcat <a&b\x1b[0m\r\n\r\n  plain  text  ", 20),
    20,
    "a <label>",
  );

  test("each piece stands at its column and line", () => {
    const pieces = [...picture.matchAll(/<text x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"([^>]*)>([^<]*)</g)];
    expect(pieces.map(([, ...piece]) => piece)).toEqual([
      ["18", "44", "8.4", ' class="prompt"', "$"],
      ["34.8", "44", "67.2", ' class="bold"', "cat &lt;a&amp;b"],
      ["34.8", "84", "42", "", "plain"],
      ["93.6", "84", "33.6", "", "text"],
    ]);
  });

  test("has a label", () => {
    expect(picture).toContain("<title>a &lt;label></title>");
    expect(picture).toStartWith('<svg xmlns="http://www.w3.org/2000/svg" ');
  });
});
