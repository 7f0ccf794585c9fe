/** One line on a terminal that tells how far a transfer is. */
import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import { bytesText, durationText, percentText } from "./units.ts";

const STANDARD_ERROR = 2;
const INTERVAL_MS = 100;
/** The rate is that of about the last so many milliseconds. */
const WINDOW_MS = 3000;
const BAR = 20;
const LONGEST_NAME = 32;
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

/** The last characters of a name that is too long for its place, which tell most of a path. */
const shorten = (name: string): string =>
  Bun.stringWidth(name) <= LONGEST_NAME
    ? name
    : `…${Array.from(name)
        .slice(1 - LONGEST_NAME)
        .join("")}`;

/** A guest must not be able to steer the host's terminal. */
const harmless = (name: string): string => name.replace(/[\x00-\x1f\x7f-\x9f]/g, "?");

/** `disk.img   45% [=========>          ] 460.8 MiB of 1.0 GiB  210.0 MiB/s  ETA 0:03` */
export function progressLine({ name, done, total, rate }: ProgressState): string {
  const speed = `${bytesText(Math.round(rate))}/s`;
  if (total === undefined || total < done) return `${shorten(harmless(name))}  ${bytesText(done)}  ${speed}`;
  const filled = total === 0 ? BAR : Math.floor((BAR * done) / total);
  const bar = `${"=".repeat(filled)}${filled < BAR ? ">" : ""}`.padEnd(BAR);
  const eta = rate > 0 ? durationText((total - done) / rate) : "-:--";
  const share = percentText(done, total).padStart(4);
  return `${shorten(harmless(name))}  ${share} [${bar}] ${bytesText(done)} of ${bytesText(total)}  ${speed}  ETA ${eta}`;
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
  const write = (text: string): void => {
    const room = (process.stderr.columns || 80) - 1;
    writeSync(STANDARD_ERROR, `${CLEAR_LINE}${text.slice(0, room)}`);
  };
  const draw = (): void => {
    const now = performance.now();
    if (now - shownAt < INTERVAL_MS) return;
    shownAt = now;
    write(progressLine({ name, done, total, rate: meter.add(done) }));
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
