/** From samples to a row of the table. */
import { type Experiment, type Figure, median } from "./experiment.ts";
import type { SubjectName } from "./lab.ts";

export interface Row extends Figure {
  /** What ours is compared with. */
  readonly reference: SubjectName;
  readonly samples: Readonly<Partial<Record<SubjectName, readonly number[]>>>;
  /** Why samples are missing. */
  readonly failure?: string;
}

export interface Outcome {
  readonly ours: number | undefined;
  readonly reference: number | undefined;
  /** Ours to the reference's. */
  readonly ratio: number | undefined;
  /** How many times better ours is. */
  readonly advantage: number | undefined;
  /** Undefined where there is no target, or no figure. */
  readonly met: boolean | undefined;
}

export const medianOf = ({ samples }: Pick<Row, "samples">, name: SubjectName): number | undefined => {
  const values = samples[name];
  return values === undefined || values.length === 0 ? undefined : median(values);
};

export const isPeer = (name: SubjectName): boolean => name === "qemu-ga" || name === "qemu-ga 10";

/** The figure of `qemu-ga`: of the one that is installed, else of the one of series 10. */
export const peerMedian = (row: Row): number | undefined => medianOf(row, "qemu-ga") ?? medianOf(row, "qemu-ga 10");

/** How many times better `ours` is. */
export const advantageOf = ({ better }: Figure, ours: number, theirs: number): number =>
  better === "lower" ? theirs / ours : ours / theirs;

export function outcomeOf(row: Row): Outcome {
  const ours = medianOf(row, "inguest");
  const reference = medianOf(row, row.reference);
  const ratio = ours === undefined || reference === undefined || reference === 0 ? undefined : ours / reference;
  const judged = row.target?.of === "value" ? ours : ratio;
  const isGood = (bound: number, actual: number): boolean =>
    row.better === "lower" ? actual <= bound : actual >= bound;
  return {
    ours,
    reference,
    ratio,
    advantage: ours === undefined || reference === undefined ? undefined : advantageOf(row, ours, reference),
    met: row.target === undefined || judged === undefined ? undefined : isGood(row.target.bound, judged),
  };
}

/** @param samples of all its figures, as they were taken */
export const rowsOf = (
  { figures, subjects }: Experiment,
  samples: ReadonlyMap<SubjectName, readonly Readonly<Record<string, number>>[]>,
  failure: string | undefined,
): Row[] =>
  Object.entries(figures).map(([key, figure]) => ({
    ...figure,
    reference: subjects[0],
    samples: Object.fromEntries(
      Array.from(samples, ([name, taken]) => [name, taken.map((sample) => sample[key] ?? Number.NaN)]),
    ),
    ...(failure === undefined ? {} : { failure }),
  }));
