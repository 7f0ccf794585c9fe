/**
 * What the short run must show, or it fails: about half of what a quiet machine shows, so that a busy one passes and a
 * real loss does not.
 */
import { outcomeOf, type Row } from "./outcome.ts";

/** How many times better than the reference, at least. */
export const LEAST_ADVANTAGE: Readonly<Record<string, number>> = {};

/** At most, in the unit of the figure. */
export const MOST: Readonly<Record<string, number>> = {};

/** What fell below its floor, a sentence each; a figure that has a floor and is missing is one of them. */
export function shortfalls(rows: readonly Row[]): string[] {
  const found = new Map(rows.map((row) => [row.name, outcomeOf(row)]));
  const below = Object.entries(LEAST_ADVANTAGE).flatMap(([name, floor]) => {
    const advantage = found.get(name)?.advantage;
    if (advantage !== undefined && advantage >= floor) return [];
    return [`${name}: ${advantage?.toFixed(2) ?? "not measured,"} times better, the floor is ${floor}`];
  });
  const above = Object.entries(MOST).flatMap(([name, most]) => {
    const ours = found.get(name)?.ours;
    if (ours !== undefined && ours <= most) return [];
    return [`${name}: ${ours?.toFixed(1) ?? "not measured"}, at most ${most} are allowed`];
  });
  return [...below, ...above];
}
