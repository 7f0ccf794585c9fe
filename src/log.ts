/** The agent's own log. */
import type { Config } from "./config/config.ts";
import { type Guest, type LogFile, SystemError } from "./guest.ts";

export type Level = "error" | "critical" | "warning" | "message" | "info" | "debug";

export interface Log {
  /** Adds a line; without `verbose` only errors are. */
  write(level: Level, text: string): void;
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
}

const WITHOUT_VERBOSE: readonly Level[] = ["error", "critical"];

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

const FORMATS: Readonly<Record<Config["logFormat"], (line: Line) => string>> = {
  text: ({ time, level, text }) => `${microseconds(time)}: ${level}: ${text}`,
  json: ({ time, level, text }) =>
    JSON.stringify({ time: new Date(Number(time / 1_000_000n)).toISOString(), level, text }),
  journal: ({ level, text }) => `<${PRIORITIES[level]}>${text}`,
};

/** Keeps a text on its line: it may hold what a host has sent. */
const onOneLine = (text: string): string =>
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
  const { logs, clock } = guest;
  const open = (): LogFile => (config.logfile === undefined ? logs.standardError : logs.openFile(config.logfile));
  let file = frozen ? undefined : open();
  let paused = frozen;

  const write = (level: Level, text: string): void => {
    if (paused || !(config.verbose || WITHOUT_VERBOSE.includes(level))) return;
    file?.write(`${FORMATS[config.logFormat]({ level, text: onOneLine(text), time: clock.now() })}\n`);
  };

  return {
    write,
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
