/** One line on a terminal that tells how far a transfer is. */
import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import { bytesText, durationText, percentText } from "./units.ts";

const STANDARD_ERROR = 2;
const INTERVAL_MS = 100;
/** The rate is that of about the last so many milliseconds. */
const WINDOW_MS = 3000;
const LONGEST_BAR = 24;
const SHORTEST_BAR = 5;
/** Brackets and blanks. */
const BESIDES_BAR = 4;
const LONGEST_NAME = 20;
const CLEAR_LINE = "\r\x1b[K";

export interface Progress {
  /** Another file. @param done bytes that need not be transferred. @param total undefined when it is not known */
  begin(name: string, done: number, total: number | undefined): void;
  advance(bytes: number): void;
  /** What is being done now that is no transfer: `verifying`. */
  say(text: string): void;
  /** Takes the line away. */
  end(): void;
}

export interface ProgressState {
  readonly name: string;
  readonly done: number;
  readonly total: number | undefined;
  /** Bytes in a second. */
  readonly rate: number;
}

/** The last part of a path, and of that the end when it is too long for its place. */
function shorten(path: string): string {
  const name = path.slice(path.lastIndexOf("/", path.length - 2) + 1);
  return Bun.stringWidth(name) <= LONGEST_NAME
    ? name
    : `…${Array.from(name)
        .slice(1 - LONGEST_NAME)
        .join("")}`;
}

/** A guest must not be able to steer the host's terminal. */
const harmless = (name: string): string => name.replace(/[\x00-\x1f\x7f-\x9f]/g, "?");

/**
 * `disk.img   45% [====>      ] 460.8 MiB/1.0 GiB  210.0 MiB/s  ETA 0:03`
 * @param width columns that there are: the bar gets what the rest leaves
 */
export function progressLine({ name, done, total, rate }: ProgressState, width: number): string {
  const speed = `${bytesText(Math.round(rate))}/s`;
  const shown = shorten(harmless(name));
  if (total === undefined || total < done) return `${shown}  ${bytesText(done)}  ${speed}`;
  const eta = rate > 0 ? durationText((total - done) / rate) : "-:--";
  const head = `${shown}  ${percentText(done, total).padStart(4)}`;
  const tail = `${bytesText(done)}/${bytesText(total)}  ${speed}  ETA ${eta}`;
  const room = Math.min(LONGEST_BAR, width - Bun.stringWidth(head) - tail.length - BESIDES_BAR);
  if (room < SHORTEST_BAR) return `${head}  ${tail}`;
  const filled = total === 0 ? room : Math.floor((room * done) / total);
  return `${head} [${`${"=".repeat(filled)}${filled < room ? ">" : ""}`.padEnd(room)}] ${tail}`;
}

/** Bytes in a second of late, from what had come when. */
function createMeter(): { reset(done: number): void; add(done: number): number } {
  let samples: { readonly time: number; readonly done: number }[] = [];
  return {
    reset(done) {
      samples = [{ time: performance.now(), done }];
    },
    add(done) {
      const time = performance.now();
      samples.push({ time, done });
      while (samples.length > 2 && time - samples[0]!.time > WINDOW_MS) samples.shift();
      const [first] = samples;
      return first === undefined || time === first.time ? 0 : ((done - first.done) * 1000) / (time - first.time);
    },
  };
}

const SILENT: Progress = { begin() {}, advance() {}, say() {}, end() {} };

/** Nothing is shown when standard error is no terminal. */
export function createProgress(): Progress {
  if (!isatty(STANDARD_ERROR)) return SILENT;
  const meter = createMeter();
  let name = "";
  let done = 0;
  let total: number | undefined;
  let shownAt = 0;
  const room = (): number => (process.stderr.columns || 80) - 1;
  const write = (text: string): void => {
    writeSync(STANDARD_ERROR, `${CLEAR_LINE}${text.slice(0, room())}`);
  };
  const draw = (): void => {
    const now = performance.now();
    if (now - shownAt < INTERVAL_MS) return;
    shownAt = now;
    write(progressLine({ name, done, total, rate: meter.add(done) }, room()));
  };
  return {
    begin(nextName, nextDone, nextTotal) {
      [name, done, total] = [nextName, nextDone, nextTotal];
      meter.reset(done);
      draw();
    },
    advance(bytes) {
      done += bytes;
      draw();
    },
    say: (text) => write(`${shorten(harmless(name))}  ${text}`),
    end: () => {
      writeSync(STANDARD_ERROR, CLEAR_LINE);
    },
  };
}
