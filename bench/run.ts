/**
 * `npm run bench`: measures the agent beside the installed qemu-ga, in turns, and prints the table.
 *
 *     --short        three minutes: what is slow is left out, and the exit code is 1 below the floors of floors.ts
 *     --no-vm        nothing in a virtual machine
 *     --only WORD    only figures with that word in their name; may be repeated
 *
 * A whole run also writes bench/results.json, docs/performance.md and docs/performance.svg.
 */
import { cpus, release } from "node:os";
import { parseArgs } from "node:util";
import { ceilings } from "./ceiling.ts";
import type { Experiment } from "./experiment.ts";
import { stopVm, VM } from "./experiments/vm.ts";
import { EXPERIMENTS } from "./experiments.ts";
import { fileTimings } from "./file-read.bench.ts";
import { shortfalls } from "./floors.ts";
import { framingTimings } from "./framing.bench.ts";
import { type Lab, openLab, type SubjectName } from "./lab.ts";
import { canPin, moveTo, raiseFileLimit } from "./libc.ts";
import { type Row, rowsOf } from "./outcome.ts";
import { publish } from "./publish.ts";
import { aligned, ceilingTable, inProcessTable, mainTable, rowText } from "./report.ts";

/** Samples of each subject, and milliseconds for each. */
const WHOLE = { rounds: 5, budget: 400, inProcess: 300 } as const;
const SHORT = { rounds: 3, budget: 150, inProcess: 60 } as const;

/** How often the short run looks again at what is below its floor. */
const SECOND_LOOKS = 2;

const reasonOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";

/** Takes the samples of an experiment: A B A B. What cannot be had of one subject does not keep the others away. */
async function conduct(experiment: Experiment, lab: Lab, rounds: number): Promise<Row[]> {
  const samples = new Map<SubjectName, Readonly<Record<string, number>>[]>();
  const failures = new Map<SubjectName, string>();
  moveTo(experiment.unpinned ? "all" : "client");
  for (let round = 0; round < (experiment.rounds ?? rounds); round++) {
    for (const name of experiment.subjects) {
      if (failures.has(name)) continue;
      try {
        const sample = await experiment.sample(await lab.subject(name), lab);
        samples.set(name, [...(samples.get(name) ?? []), sample]);
      } catch (error) {
        console.error(error);
        failures.set(name, `${name}: ${reasonOf(error)}`);
      }
    }
  }
  return rowsOf(experiment, samples, failures.size === 0 ? undefined : [...failures.values()].join("; "));
}

const asked = ({ figures }: Experiment, words: readonly string[]): boolean =>
  words.length === 0 || Object.values(figures).some(({ name }) => words.some((word) => name.includes(word)));

const machine = (): string => {
  const all = cpus();
  return `${all.length} × ${all[0]?.model.trim() ?? "unknown"}, Linux ${release()}`;
};

/** Without either agent there is nothing to compare; the one of series 10 may be missing. */
async function versions(lab: Lab): Promise<Record<string, string>> {
  const names: readonly SubjectName[] = ["qemu-ga", "inguest"];
  const known = [...(await Promise.all(names.map(lab.subject)))];
  const ten = await lab.subject("qemu-ga 10").catch((error) => console.error(`no qemu-ga 10: ${reasonOf(error)}`));
  if (ten !== undefined) known.push(ten);
  return Object.fromEntries(known.map(({ name, version }) => [name, version]));
}

/**
 * Holds the figures against their floors. What is below is measured again: a machine that is busy for a moment is no
 * loss of ours.
 * @returns the exit code
 */
async function judge(rows: readonly Row[], again: (experiment: Experiment) => Promise<Row[]>): Promise<number> {
  let below = shortfalls(rows);
  for (let attempt = 0; below.length > 0 && attempt < SECOND_LOOKS; attempt++) {
    const names = below.map(({ name }) => name);
    const doubtful = EXPERIMENTS.filter(({ figures }) =>
      Object.values(figures).some(({ name }) => names.includes(name)),
    );
    const fresh: Row[] = [];
    for (const experiment of doubtful) fresh.push(...(await again(experiment)));
    const still = new Set(shortfalls(fresh).map(({ name }) => name));
    below = below.filter(({ name }) => still.has(name));
  }
  for (const { text } of below) console.log(`below the floor: ${text}`);
  return below.length === 0 ? 0 : 1;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { short: { type: "boolean" }, "no-vm": { type: "boolean" }, only: { type: "string", multiple: true } },
  });
  const { short = false, only = [], "no-vm": noVm = short } = values;
  const { rounds, budget, inProcess } = short ? SHORT : WHOLE;
  const chosen = EXPERIMENTS.filter(
    (experiment) => asked(experiment, only) && !(short && experiment.slow) && !(noVm && VM.includes(experiment)),
  );
  raiseFileLimit();
  await using lab = await openLab(budget);
  const rows: Row[] = [];
  try {
    const known = await versions(lab);
    const named = Object.entries(known).map(([name, version]) => `${name} ${version}`);
    console.log(`${machine()}; ${named.join(", ")}`);
    if (!canPin) console.log("There is one processor: client and server share it.");
    for (const experiment of chosen) {
      const found = await conduct(experiment, lab, rounds);
      rows.push(...found);
      for (const row of found) console.error(rowText(row));
    }
    console.log(`\n${aligned(mainTable(rows))}\n`);
    if (only.length > 0) return 0;

    moveTo("client");
    const limits = await ceilings(budget);
    const timings = [...(await framingTimings(inProcess)), ...(await fileTimings(inProcess))];
    console.log(`${aligned(ceilingTable(limits, rows))}\n\n${aligned(inProcessTable(timings))}\n`);
    if (short) return await judge(rows, (experiment) => conduct(experiment, lab, rounds));
    if (!noVm) publish({ machine: machine(), versions: known, rows, ceilings: limits, inProcess: timings });
    return 0;
  } finally {
    await stopVm();
  }
}

process.exit(await main());
