/** The agent's own log. */
import type { Config } from "./config/config.ts";
import { type Guest, type LogFile, SystemError } from "./guest.ts";

export type Level = "error" | "critical" | "warning" | "message" | "info" | "debug";

/** How a host's request went: never what was in it. */
export interface RequestRecord {
  /** What the host called for; it may be no command at all. */
  readonly name: string;
  /** `ok`, or the class of the error. */
  readonly outcome: string;
  readonly milliseconds: number;
}

export interface Log {
  /** Adds a line; without `verbose` only errors are. */
  write(level: Level, text: string): void;
  /** Adds a line for a request; left out when such lines are not wanted. */
  readonly request?: ((record: RequestRecord) => void) | undefined;
  /** Tells the system's log what a host asked for: never payloads or secrets. */
  account(text: string): void;
  /** While filesystems are frozen nothing is written; lines are dropped. */
  pause(): void;
  resume(): void;
}

interface Line {
  readonly level: Level;
  readonly text: string;
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  readonly request?: RequestRecord | undefined;
}

const WITHOUT_VERBOSE: readonly Level[] = ["error", "critical"];

/** More of what a host calls a command is not logged. */
const LONGEST_NAME = 64;

/** Priorities as sd-daemon(3) has them before a line. */
const PRIORITIES: Readonly<Record<Level, number>> = {
  error: 3,
  critical: 2,
  warning: 4,
  message: 5,
  info: 6,
  debug: 7,
};

const microseconds = (time: bigint): string =>
  `${time / 1_000_000_000n}.${String((time / 1000n) % 1_000_000n).padStart(6, "0")}`;

const FORMATS: Readonly<Record<NonNullable<Config["logFormat"]>, (line: Line) => string>> = {
  text: ({ time, level, text }) => `${microseconds(time)}: ${level}: ${text}`,
  json: ({ time, level, text, request }) =>
    JSON.stringify({ time: new Date(Number(time / 1_000_000n)).toISOString(), level, text, ...request }),
  journal: ({ level, text }) => `<${PRIORITIES[level]}>${text}`,
};

/** Keeps a text on its line: it may hold what a host has sent. */
export const onOneLine = (text: string): string =>
  text.replace(/[\x00-\x1f\x7f]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`);

/**
 * @param frozen true when filesystems were found frozen: the log then starts paused, and its file is not touched before
 * `resume`
 * @throws SystemError when the log file cannot be opened
 */
export function createLog(
  guest: Pick<Guest, "logs" | "clock">,
  config: Pick<Config, "logfile" | "logFormat" | "verbose">,
  frozen = false,
): Log {
  const { logs } = guest;
  const open = (): LogFile => (config.logfile === undefined ? logs.standardError : logs.openFile(config.logfile));
  let file = frozen ? undefined : open();
  let paused = frozen;

  const format = FORMATS[config.logFormat ?? "text"];
  const add = (level: Level, text: string, request?: RequestRecord): void => {
    if (!paused) file?.write(`${format({ level, text: onOneLine(text), time: guest.clock.now(), request })}\n`);
  };
  const write = (level: Level, text: string): void => {
    if (config.verbose || WITHOUT_VERBOSE.includes(level)) add(level, text);
  };
  const request = (record: RequestRecord): void => {
    const name = record.name.slice(0, LONGEST_NAME);
    const milliseconds = Math.round(record.milliseconds * 1000) / 1000;
    add("info", `${name}: ${record.outcome} in ${milliseconds} ms`, { ...record, name, milliseconds });
  };

  return {
    write,
    request: config.verbose || config.logFormat !== undefined ? request : undefined,
    account(text) {
      if (!paused) logs.system(onOneLine(text));
    },
    pause() {
      paused = true;
    },
    resume() {
      paused = false;
      if (file !== undefined) return;
      try {
        file = open();
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        file = logs.standardError;
        write("critical", `unable to open the log file: ${error.message}`);
      }
    },
  };
}
