/** The arithmetic of the bench: what is better, what is met, what fails the short run. */
import { describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ratio, value } from "../../bench/experiment.ts";
import { EXPERIMENTS } from "../../bench/experiments.ts";
import { LEAST_ADVANTAGE, MOST, shortfalls } from "../../bench/floors.ts";
import { outcomeOf, type Row } from "../../bench/outcome.ts";
import { plot } from "../../bench/plot.ts";
import { publish } from "../../bench/publish.ts";
import { aligned, figureText, fill, mainTable } from "../../bench/report.ts";

const row = (more: Partial<Row>): Row => ({
  name: "ping",
  unit: "µs",
  better: "lower",
  reference: "qemu-ga",
  samples: { "qemu-ga": [100, 900, 90], inguest: [50, 49, 700] },
  ...more,
});

describe("an outcome", () => {
  test.each([
    ["less is better, met", row({ target: ratio(0.5) }), 0.5, 2, true],
    ["less is better, missed", row({ target: ratio(0.49) }), 0.5, 2, false],
    ["more is better, met", row({ better: "higher", target: ratio(0.5) }), 0.5, 0.5, true],
    ["more is better, missed", row({ better: "higher", target: ratio(0.51) }), 0.5, 0.5, false],
    ["a value, met", row({ target: value(50) }), 0.5, 2, true],
    ["a value, missed", row({ target: value(49) }), 0.5, 2, false],
    ["without a target", row({}), 0.5, 2, undefined],
  ])("%s", (_what, given, expectedRatio, advantage, met) => {
    expect(outcomeOf(given)).toMatchObject({ ratio: expectedRatio, advantage, met });
  });

  test("of nothing where the reference has none, or a sample is missing", () => {
    expect(outcomeOf(row({ target: ratio(1), samples: { inguest: [1] } }))).toMatchObject({
      ratio: undefined,
      met: undefined,
    });
    expect(outcomeOf(row({ target: ratio(1), samples: { "qemu-ga": [0], inguest: [0] } })).ratio).toBeUndefined();
    expect(outcomeOf(row({ target: value(0), samples: { "qemu-ga": [9], inguest: [0] } })).met).toBe(true);
  });
});

describe("the floors", () => {
  const names = new Map(
    EXPERIMENTS.flatMap(({ figures, slow }) => Object.values(figures).map(({ name }) => [name, slow])),
  );

  test("are of figures that the short run has", () => {
    for (const name of [...Object.keys(LEAST_ADVANTAGE), ...Object.keys(MOST)]) {
      expect(names.has(name), name).toBe(true);
      expect(names.get(name), name).toBeUndefined();
    }
  });

  test("are all missed when nothing was measured", () => {
    expect(shortfalls([])).toHaveLength(Object.keys(LEAST_ADVANTAGE).length + Object.keys(MOST).length);
  });

  test("are missed by a figure just below, and held by one just above", () => {
    const [[name, floor] = ["", 0]] = Object.entries(LEAST_ADVANTAGE);
    const others = shortfalls([]).length - 1;
    const at = (advantage: number): Row => row({ name, samples: { "qemu-ga": [advantage], inguest: [1] } });
    expect(shortfalls([at(floor * 1.01)])).toHaveLength(others);
    expect(shortfalls([at(floor * 0.99)])).toHaveLength(others + 1);
  });
});

test("no two figures have the same name", () => {
  const names = EXPERIMENTS.flatMap(({ figures }) => Object.values(figures).map(({ name }) => name));
  expect(names.length).toBeGreaterThan(45);
  expect(new Set(names).size).toBe(names.length);
});

describe("the report", () => {
  test.each([
    [1_234_567.8, "1 234 568"],
    [123.4, "123"],
    [12.34, "12.3"],
    [0.01234, "0.0123"],
    [0, "0"],
    [undefined, "–"],
    [Number.NaN, "–"],
  ])("writes %p as %s", (number, text) => expect(figureText(number)).toBe(text));

  test("has a line for each row", () => {
    const table = aligned(mainTable([row({ target: ratio(0.75) })]));
    expect(table.split("\n").at(-1)).toMatch(/^ping +100 µs +50 µs +0\.5 × +≤ 0\.75 × +yes$/);
  });

  test("replaces what is between its marks, and only that", () => {
    expect(fill("a\n<!-- t -->\nold\n<!-- /t -->\nb\n", "t", "new")).toBe("a\n<!-- t -->\nnew\n<!-- /t -->\nb\n");
    expect(() => fill("a", "t", "new")).toThrow("no place for t");
  });

  test("plots what has a target", () => {
    const svg = plot(
      [row({ target: ratio(0.75) }), row({ name: "a < b", target: value(1) }), row({ name: "bare" })],
      "c",
    );
    expect(svg.match(/<rect x=/g)).toHaveLength(2);
    expect(svg).toContain("a &lt; b");
    expect(svg).not.toContain("bare");
  });
});

test("a run fills the page, and the next one fills it anew", () => {
  const root = mkdtempSync(join(tmpdir(), "inguest-publish-"));
  try {
    for (const folder of ["docs", "bench"]) mkdirSync(join(root, folder));
    const page = join(root, "docs/performance.md");
    copyFileSync(join(import.meta.dir, "../../docs/performance.md"), page);
    const run = (name: string): string => {
      publish(
        {
          machine: "2 × Abacus",
          versions: { "qemu-ga": "7.2", inguest: "0.1" },
          rows: [row({ name, target: ratio(0.75) })],
          ceilings: [{ name, unit: "µs", value: 12 }],
          inProcess: [{ name: "a part", microseconds: 3 }],
        },
        root,
      );
      return readFileSync(page, "utf8");
    };
    run("first");
    const text = run("second");
    expect(text).not.toContain("first |");
    expect(text).toContain("| second | 100 µs | 50 µs | 0.5 × | ≤ 0.75 × | yes |");
    expect(text).toContain("| second | 12 µs | 50 µs |");
    expect(text).toContain("| a part | 3 µs |");
    expect(text).toContain("2 × Abacus; qemu-ga 7.2, inguest 0.1.");
    expect(readFileSync(join(root, "docs/performance.svg"), "utf8")).toContain(">second<");
    expect(JSON.parse(readFileSync(join(root, "bench/results.json"), "utf8")).rows[0].name).toBe("second");
  } finally {
    rmSync(root, { recursive: true });
  }
});
