/** What an experiment is, and how its samples become figures. */
import type { Lab, Subject, SubjectName } from "./lab.ts";

export interface Target {
  /** The bound of the ratio to the reference, or of our value itself. */
  readonly of: "ratio" | "value";
  readonly bound: number;
}

/** Ours to the reference's: at most that when less is better, at least that when more is. */
export const ratio = (bound: number): Target => ({ of: "ratio", bound });
export const value = (bound: number): Target => ({ of: "value", bound });

export interface Figure {
  readonly name: string;
  readonly unit: "µs" | "ms" | "MB" | "MB/s" | "s/GB" | "1/s" | "×" | "";
  readonly better: "lower" | "higher";
  /** Left out, the figure is only for information. */
  readonly target?: Target;
}

export interface Experiment {
  /** By the names under which `sample` returns them. */
  readonly figures: Readonly<Record<string, Figure>>;
  /** The first one is what ours is compared with. */
  readonly subjects: readonly [reference: SubjectName, ...others: SubjectName[]];
  /** How many samples are taken of each subject, in turns; the run's own number when left out. */
  readonly rounds?: number;
  /** Not in the short run. */
  readonly slow?: true;
  /** Nobody has a processor of its own. */
  readonly unpinned?: true;
  sample(subject: Subject, lab: Lab): Promise<Readonly<Record<string, number>>>;
}

export const AGENTS: Experiment["subjects"] = ["qemu-ga", "inguest"];

/** The lower of two in the middle. */
export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[(values.length - 1) >> 1] ?? Number.NaN;

/**
 * Does something again and again, at least once, until the time is up.
 * @param budget milliseconds
 * @returns how long each took, in milliseconds
 */
export function repeat(budget: number, action: () => void): number[] {
  const taken: number[] = [];
  const end = performance.now() + budget;
  for (let begin = performance.now(); begin < end || taken.length === 0; begin = performance.now()) {
    action();
    taken.push(performance.now() - begin);
  }
  return taken;
}
