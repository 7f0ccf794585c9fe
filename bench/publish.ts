/** Writes what a whole run has found: bench/results.json, docs/performance.md and docs/performance.svg. */
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Ceiling } from "./ceiling.ts";
import type { Timing } from "./in-process.ts";
import type { Row } from "./outcome.ts";
import { plot } from "./plot.ts";
import { ceilingTable, fill, inProcessTable, mainTable } from "./report.ts";

const ROOT = resolve(import.meta.dir, "..");

export interface Results {
  readonly machine: string;
  /** By the names of the agents. */
  readonly versions: Readonly<Record<string, string>>;
  readonly rows: readonly Row[];
  readonly ceilings: readonly Ceiling[];
  readonly inProcess: readonly Timing[];
}

/** @param root the folder that has `bench` and `docs` */
export function publish(results: Results, root = ROOT): void {
  const { machine, versions, rows, ceilings, inProcess } = results;
  const page = join(root, "docs/performance.md");
  const caption = `${machine}; qemu-ga ${versions["qemu-ga"]}, inguest ${versions.inguest}.`;
  const places = {
    machine: caption,
    table: mainTable(rows),
    ceiling: ceilingTable(ceilings, rows),
    parts: inProcessTable(inProcess),
  };
  const filled = Object.entries(places).reduce(
    (text, [place, content]) => fill(text, place, content),
    readFileSync(page, "utf8"),
  );
  writeFileSync(page, filled);
  writeFileSync(join(root, "docs/performance.svg"), plot(rows, `${caption} Black marks are targets.`));
  writeFileSync(join(root, "bench/results.json"), `${JSON.stringify(results, null, 1)}\n`);
}
