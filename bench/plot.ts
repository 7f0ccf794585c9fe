/** One plot: how many times better than qemu-ga, on a logarithmic scale. */
import { advantageOf, isPeer, medianOf, peerMedian, type Row } from "./outcome.ts";
import { figureText } from "./report.ts";

const WIDTH = 860;
const LABELS = 330;
const RIGHT = 60;
const BAR = 13;
const STEP = 19;
const TOP = 64;
const BOTTOM = 34;
const COLOURS = { better: "#2f7d4f", worse: "#b3423a", target: "#1d1d1d", grid: "#d9d9d9", text: "#1d1d1d" } as const;

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

interface Bar {
  readonly label: string;
  readonly advantage: number;
  /** The same for the target, where it is a ratio. */
  readonly target: number | undefined;
}

/** What has a target is drawn, except for counts and figures that are ratios themselves. */
const barsOf = (rows: readonly Row[]): Bar[] =>
  rows.flatMap((row) => {
    const ours = medianOf(row, "inguest");
    const theirs = peerMedian(row);
    if (row.target === undefined || row.unit === "×" || row.unit === "") return [];
    if (ours === undefined || theirs === undefined || !(ours > 0 && theirs > 0)) return [];
    const isRatio = row.target.of === "ratio" && isPeer(row.reference);
    const target = isRatio ? advantageOf(row, row.target.bound, 1) : undefined;
    return [{ label: row.name, advantage: advantageOf(row, ours, theirs), target }];
  });

/** The powers of ten with 2 and 5 between that the scale has marks at. */
const marksBetween = (least: number, most: number): number[] =>
  [-1, 0, 1, 2, 3, 4, 5]
    .flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power))
    .filter((mark) => mark >= least && mark <= most);

/** @returns an SVG with a bar for each figure that has a counterpart of qemu-ga's */
export function plot(rows: readonly Row[], caption: string): string {
  const bars = barsOf(rows);
  const values = bars.flatMap(({ advantage, target }) => [advantage, target ?? 1]);
  const least = Math.min(0.5, ...values) / 1.1;
  const most = Math.max(2, ...values) * 1.1;
  const scale = (WIDTH - LABELS - RIGHT) / Math.log(most / least);
  const x = (value: number): number => Math.round((LABELS + Math.log(value / least) * scale) * 10) / 10;
  const bottom = TOP + bars.length * STEP;
  const text = (at: number, y: number, content: string, more = ""): string =>
    `<text x="${at}" y="${y}"${more}>${escaped(content)}</text>`;
  const line = (at: number, from: number, to: number, colour: string, width: number): string =>
    `<line x1="${at}" x2="${at}" y1="${from}" y2="${to}" stroke="${colour}" stroke-width="${width}"/>`;

  const grid = marksBetween(least, most).flatMap((mark) => [
    line(x(mark), TOP - 4, bottom, mark === 1 ? COLOURS.text : COLOURS.grid, 1),
    text(x(mark), bottom + 16, `${mark} ×`, ' text-anchor="middle"'),
  ]);
  const drawn = bars.flatMap(({ label, advantage, target }, index) => {
    const y = TOP + index * STEP;
    const [from, to] = advantage >= 1 ? [x(1), x(advantage)] : [x(advantage), x(1)];
    const colour = advantage >= 1 ? COLOURS.better : COLOURS.worse;
    return [
      text(LABELS - 12, y + BAR - 2, label, ' text-anchor="end"'),
      `<rect x="${from}" y="${y}" width="${Math.max(1, Math.round((to - from) * 10) / 10)}" height="${BAR}" fill="${colour}"/>`,
      ...(target === undefined ? [] : [line(x(target), y - 2, y + BAR + 2, COLOURS.target, 2)]),
      text(x(Math.max(advantage, target ?? 1, 1)) + 6, y + BAR - 2, figureText(advantage)),
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom + BOTTOM}" font-family="sans-serif" font-size="12" fill="${COLOURS.text}">`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    text(16, 24, "inguest: how many times better than qemu-ga", ' font-size="16" font-weight="bold"'),
    text(16, 44, caption),
    ...grid,
    ...drawn,
    "</svg>",
    "",
  ].join("\n");
}
