/**
 * What the short run must show, or it fails: far less than a quiet machine shows, so that a busy one passes and a
 * real loss does not.
 */
import { outcomeOf, type Row } from "./outcome.ts";

/** How many times better than the reference, at least. */
export const LEAST_ADVANTAGE: Readonly<Record<string, number>> = {
  "guest-ping": 0.7,
  "guest-sync-delimited, to the complete answer": 0.6,
  "pipelined pings": 15,
  "guest-exec of true, until exited": 0.7,
  "guest-get-disks": 0.6,
  "guest-get-fsinfo": 0.6,
  "guest-get-osinfo": 0.5,
  "guest-network-get-interfaces": 0.6,
  "guest-file-read 4 KiB": 0.8,
  "guest-file-read 64 KiB": 1.5,
  "guest-file-read 1 MiB": 2,
  "guest-file-read 16 MiB": 4,
  "guest-file-read 48 MB": 3,
  "guest-file-write 4 KiB": 1.2,
  "guest-file-write 64 KiB": 4,
  "guest-file-write 1 MiB": 3,
  "guest-file-write 16 MiB": 3,
  "guest-file-write 48 MB": 3,
  "processor time of guest-file-read (1 MiB)": 1.5,
  "processor time of guest-file-write (1 MiB)": 4,
  "first byte of a 16 MiB read": 10,
  "idle: resident, beside an empty Bun executable": 0.8,
};

/** At most, in the unit of the figure. */
export const MOST: Readonly<Record<string, number>> = {
  "idle: anonymous memory": 8,
  "of which anonymous, read": 12,
  "of which anonymous, write": 12,
};

export interface Shortfall {
  readonly name: string;
  readonly text: string;
}

/** What fell below its floor; a figure that has a floor and is missing is one of them. */
export function shortfalls(rows: readonly Row[]): Shortfall[] {
  const found = new Map(rows.map((row) => [row.name, outcomeOf(row)]));
  const below = Object.entries(LEAST_ADVANTAGE).flatMap(([name, floor]) => {
    const advantage = found.get(name)?.advantage;
    if (advantage !== undefined && advantage >= floor) return [];
    const seen = advantage === undefined ? "not measured" : `${advantage.toFixed(2)} times better`;
    return [{ name, text: `${name}: ${seen}, the floor is ${floor}` }];
  });
  const above = Object.entries(MOST).flatMap(([name, most]) => {
    const ours = found.get(name)?.ours;
    if (ours !== undefined && ours <= most) return [];
    return [{ name, text: `${name}: ${ours?.toFixed(1) ?? "not measured"}, at most ${most} are allowed` }];
  });
  return [...below, ...above];
}
