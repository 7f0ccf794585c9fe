/** What a terminal shows after a program has written to it, and a picture of that. */

type Style = "plain" | "bold" | "prompt";

interface Cell {
  readonly character: string;
  readonly style: Style;
}

/** Select graphic rendition (ECMA-48, SGR): the ones that are drawn. */
const RENDITIONS: Readonly<Record<string, Style>> = { "": "plain", 0: "plain", 1: "bold", 32: "prompt" };

const TOKEN = /\x1b\[(?<parameters>[0-9;?]*)(?<command>[A-Za-z])|[\s\S]/gu;

/**
 * Reads what was written to a terminal that has as many rows as it takes.
 * @param output with carriage returns, "erase to the end of the line" and colours; other sequences are errors
 * @returns its rows
 * @throws Error
 */
export function screenOf(output: string, columns: number): readonly (readonly Cell[])[] {
  const rows: Cell[][] = [[]];
  let column = 0;
  let style: Style = "plain";
  const row = (): Cell[] => rows[rows.length - 1]!;

  const put = (character: string): void => {
    if (column === columns) {
      rows.push([]);
      column = 0;
    }
    while (row().length < column) row().push({ character: " ", style: "plain" });
    row()[column++] = { character, style };
  };
  const controls: Readonly<Record<string, () => void>> = {
    "\n": () => rows.push([]),
    "\r": () => {
      column = 0;
    },
    "\b": () => {
      column = Math.max(0, column - 1);
    },
  };
  const sequences: Readonly<Record<string, (parameters: string) => void>> = {
    K: (parameters) => {
      if (parameters !== "") throw new Error(`erasing with ${parameters} is not known`);
      row().length = Math.min(row().length, column);
    },
    m: (parameters) => {
      const known = RENDITIONS[parameters];
      if (known === undefined) throw new Error(`a rendition of ${parameters} is not known`);
      style = known;
    },
  };
  for (const { 0: text, groups } of output.matchAll(TOKEN)) {
    const { parameters = "", command } = groups ?? {};
    const act = command === undefined ? controls[text] : sequences[command];
    if (act !== undefined) {
      act(parameters);
    } else if (/[\x00-\x1f\x7f]/.test(text)) {
      throw new Error(`${JSON.stringify(text)} is not known`);
    } else {
      put(text);
    }
  }
  return rows;
}

const FONT = 14;
const CELL = { width: 8.4, height: 20 };
const MARGIN = 18;
const BAR = 30;

/** Readable on light and on dark pages alike: it has its own ground, and a border. */
const LOOK = `text{font:${FONT}px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d7dce2}
.bold{fill:#fff;font-weight:bold}
.prompt{fill:#7ec699}`;

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
const rounded = (value: number): number => Math.round(value * 10) / 10;

interface Piece {
  readonly at: number;
  readonly text: string;
  readonly style: Style;
}

/** Pieces of a row that look the same, without what SVG does not keep: several blanks in a row, and those at the ends. */
function piecesOf(cells: readonly Cell[]): Piece[] {
  const pieces: { at: number; text: string; style: Style }[] = [];
  for (const [at, { character, style }] of cells.entries()) {
    const last = pieces.at(-1);
    if (last?.style === style) last.text += character;
    else pieces.push({ at, text: character, style });
  }
  return pieces.flatMap(({ at, text, style }) =>
    [...text.matchAll(/\S+(?: \S+)*/g)].map((words) => ({ at: at + words.index, text: words[0], style })),
  );
}

/**
 * @param label what it shows, for those who do not see it
 * @returns an SVG of the rows in a window; the columns stand where they should, whatever font is there
 */
export function drawScreen(rows: readonly (readonly Cell[])[], columns: number, label: string): string {
  const width = rounded(columns * CELL.width + 2 * MARGIN);
  const height = BAR + rows.length * CELL.height + MARGIN;
  const lines = rows.flatMap((cells, index) =>
    piecesOf(cells).map(({ at, text, style }) => {
      const look = style === "plain" ? "" : ` class="${style}"`;
      const x = rounded(MARGIN + at * CELL.width);
      const length = rounded(text.length * CELL.width);
      return `<text x="${x}" y="${BAR + index * CELL.height + FONT}" textLength="${length}"${look}>${escaped(text)}</text>`;
    }),
  );
  const dots = [0, 1, 2].map((index) => `<circle cx="${MARGIN + 5 + index * 18}" cy="15" r="5" fill="#4b535d"/>`);
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${escaped(label)}</title>`,
    `<style>${LOOK}</style>`,
    `<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8" fill="#1c2127" stroke="#4b535d"/>`,
    ...dots,
    ...lines,
    "</svg>",
  ].join("\n")}\n`;
}
