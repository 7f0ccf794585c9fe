/** Tables for the terminal and for the page. */
import type { Ceiling } from "./ceiling.ts";
import type { Timing } from "./in-process.ts";
import { isPeer, medianOf, outcomeOf, type Row } from "./outcome.ts";

/** Three digits that matter. */
export function figureText(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return "–";
  const rounded = Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
  return rounded.toLocaleString("en", { maximumFractionDigits: 6 }).replaceAll(",", " ");
}

const withUnit = (value: number | undefined, unit: string): string =>
  value === undefined || unit === "" ? figureText(value) : `${figureText(value)} ${unit}`;

function targetText({ target, better, unit }: Row): string {
  if (target === undefined) return "";
  const sign = better === "lower" ? "≤" : "≥";
  return target.of === "ratio" ? `${sign} ${target.bound} ×` : `${sign} ${withUnit(target.bound, unit)}`;
}

const MET = new Map<boolean | undefined, string>([
  [true, "yes"],
  [false, "**no**"],
  [undefined, ""],
]);

/** The column of `qemu-ga` has the one that is installed, else the one of series 10. */
const peerFigure = (row: Row): string => {
  const installed = medianOf(row, "qemu-ga");
  if (installed !== undefined) return withUnit(installed, row.unit);
  const ten = medianOf(row, "qemu-ga 10");
  return ten === undefined ? "–" : `${withUnit(ten, row.unit)} ¹`;
};

function ratioText(row: Row): string {
  const { ratio, reference } = outcomeOf(row);
  if (ratio === undefined) return "";
  const beside = isPeer(row.reference) ? "" : ` of ${withUnit(reference, row.unit)}`;
  return `${figureText(ratio)} ×${beside}`;
}

export const HEADINGS = ["figure", "qemu-ga", "inguest", "ratio", "target", "met"] as const;

const cells = (row: Row): string[] => {
  const { ours, met } = outcomeOf(row);
  const figure = row.failure === undefined ? row.name : `${row.name} (${row.failure})`;
  return [figure, peerFigure(row), withUnit(ours, row.unit), ratioText(row), targetText(row), MET.get(met) ?? ""];
};

/** A row by itself, to be seen while the others are still being measured. */
export const rowText = (row: Row): string => {
  const [figure, theirs, ours, ratio] = cells(row);
  return `${figure}: qemu-ga ${theirs}, inguest ${ours}${ratio === "" ? "" : `, ${ratio}`}`;
};

const markdown = (headings: readonly string[], rows: readonly (readonly string[])[]): string => {
  const line = (texts: readonly string[]): string => `| ${texts.join(" | ")} |\n`;
  return [line(headings), `|${headings.map(() => "---|").join("")}\n`, ...rows.map(line)].join("");
};

export const mainTable = (rows: readonly Row[]): string => markdown(HEADINGS, rows.map(cells));

export const ceilingTable = (ceilings: readonly Ceiling[], rows: readonly Row[]): string => {
  const ours = new Map(rows.map((row) => [row.name, medianOf(row, "inguest")]));
  return markdown(
    ["figure", "server without work", "inguest"],
    ceilings.map(({ name, unit, value }) => [name, withUnit(value, unit), withUnit(ours.get(name), unit)]),
  );
};

export const inProcessTable = (timings: readonly Timing[]): string =>
  markdown(
    ["part", "time", "rate"],
    timings.map(({ name, microseconds, megabytesPerSecond }) => [
      name,
      `${figureText(microseconds)} µs`,
      megabytesPerSecond === undefined ? "" : `${figureText(megabytesPerSecond)} MB/s`,
    ]),
  );

/** A markdown table with its columns aligned, for a terminal. */
export function aligned(table: string): string {
  const rows = table
    .trimEnd()
    .split("\n")
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
    .filter((row) => row[0] !== "---");
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const pad = (cell: string, column: number): string =>
    column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0);
  return rows.map((row) => row.map(pad).join("  ").trimEnd()).join("\n");
}

/** Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->`. @throws Error when the page has no such place */
export function fill(page: string, name: string, content: string): string {
  const begin = `<!-- ${name} -->`;
  const end = `<!-- /${name} -->`;
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from < 0 || to < from) throw new Error(`the page has no place for ${name}`);
  return `${page.slice(0, from + begin.length)}\n${content.trimEnd()}\n${page.slice(to)}`;
}
