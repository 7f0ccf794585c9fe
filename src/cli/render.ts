/** A command's result for a person at a terminal, or as JSON for everything else. */
import type { Json, JsonObject } from "../framing/json.ts";
import { isJsonObject } from "../framing/json.ts";

const GAP = "  ";
const INDENT = "  ";
const NOTHING = "-";

type Cells = ReadonlyMap<string, Json>;

const isList = (value: Json): value is readonly Json[] => Array.isArray(value);
const isPlain = (value: Json): boolean => !isList(value) && !isJsonObject(value);

/** A guest must not be able to steer the host's terminal: control characters are shown as what they are. */
const harmless = (text: string): string =>
  text.replace(/[\x00-\x1f\x7f-\x9f]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** One line of JSON; integers are exact. */
export function printJson(value: Json): string {
  if (typeof value === "bigint") return value.toString();
  if (isList(value)) return `[${value.map(printJson).join(", ")}]`;
  if (!isJsonObject(value)) return harmless(JSON.stringify(value));
  return `{${Object.entries(value)
    .map(([name, member]) => `${harmless(JSON.stringify(name))}: ${printJson(member)}`)
    .join(", ")}}`;
}

/** A value in few words: the members' values of an object, the items of a list between commas. */
function brief(value: Json | undefined): string {
  if (value === undefined || value === null) return NOTHING;
  if (isList(value)) return value.map(brief).join(", ") || NOTHING;
  if (isJsonObject(value)) return Object.values(value).map(brief).join(" ") || NOTHING;
  return harmless(String(value)) || '""';
}

/** The members of an object and of the objects in it: `statistics.rx-bytes`. */
function cellsOf(value: JsonObject, prefix = ""): Cells {
  const cells = new Map<string, Json>();
  for (const [name, member] of Object.entries(value)) {
    if (!isJsonObject(member)) cells.set(prefix + name, member);
    else for (const [inner, cell] of cellsOf(member, `${prefix}${name}.`)) cells.set(inner, cell);
  }
  return cells;
}

const pad = (text: string, width: number, toTheRight: boolean): string => {
  const blanks = " ".repeat(Math.max(0, width - Bun.stringWidth(text)));
  return toTheRight ? blanks + text : text + blanks;
};

/** A number, or an amount such as `1.5 GiB` and `42%`. */
const isNumber = (value: Json | undefined): boolean =>
  typeof value === "number" ||
  typeof value === "bigint" ||
  (typeof value === "string" && /^\d+(?:\.\d+)?(?:%| (?:[KMGTP]i)?B)$/.test(value));

/** Lines of a table, its names first. */
function tableLines(rows: readonly Cells[]): string[] {
  const names = [...new Set(rows.flatMap((row) => [...row.keys()]))];
  const columns = names.map((name) => {
    const texts = [harmless(name), ...rows.map((row) => brief(row.get(name)))];
    const toTheRight = rows.every((row) => !row.has(name) || isNumber(row.get(name)));
    const width = Math.max(...texts.map((text) => Bun.stringWidth(text)));
    return texts.map((text) => pad(text, width, toTheRight));
  });
  return [names, ...rows].map((_, index) =>
    columns
      .map((column) => column[index])
      .join(GAP)
      .trimEnd(),
  );
}

/** Lines `name  value`; what has several values of its own follows its name, indented. */
function recordLines(value: JsonObject, width: number): string[] {
  const entries = Object.entries(value);
  const nameWidth = Math.max(...entries.map(([name]) => Bun.stringWidth(harmless(name))));
  return entries.flatMap(([name, member]) => {
    if (isPlain(member) || (isList(member) && member.every(isPlain))) {
      return [`${pad(harmless(name), nameWidth, false)}${GAP}${brief(member)}`];
    }
    const inner = valueLines(member, width - INDENT.length);
    return [harmless(name), ...inner.map((line) => INDENT + line)];
  });
}

function listLines(items: readonly Json[], width: number): string[] {
  if (items.length === 0) return ["none"];
  if (!items.every(isJsonObject)) return items.map(brief);
  const table = tableLines(items.map((item) => cellsOf(item)));
  if (table.every((line) => Bun.stringWidth(line) <= width)) return table;
  return items.flatMap((item, index) => [...(index === 0 ? [] : [""]), ...recordLines(item, width)]);
}

function valueLines(value: Json, width: number): string[] {
  if (isList(value)) return listLines(value, width);
  if (!isJsonObject(value)) return [brief(value)];
  return Object.keys(value).length === 0 ? ["ok"] : recordLines(value, width);
}

/**
 * A table for a list of objects, a line for each member of an object.
 * @param width columns of the terminal: a table that is wider is shown as one paragraph for each of its rows
 */
export const render = (value: Json, width: number): string => `${valueLines(value, width).join("\n")}\n`;
