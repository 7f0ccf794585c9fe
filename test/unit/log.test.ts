import { expect, test } from "bun:test";
import type { Config } from "../../src/config/config.ts";
import { type LogFile, type Logs, SystemError } from "../../src/guest.ts";
import { createLog, type Log } from "../../src/log.ts";

interface Place {
  log: Log;
  /** What went to standard error, to the file `/l`, and to the system's log. */
  lines: { error: string; file: string; system: string };
  opened: string[];
}

function logWith(config: Partial<Pick<Config, "logfile" | "logFormat" | "verbose">>, frozen = false): Place {
  const lines = { error: "", file: "", system: "" };
  const opened: string[] = [];
  const into = (name: keyof typeof lines): LogFile => ({
    write(text) {
      lines[name] += text;
    },
  });
  const logs: Logs = {
    standardError: into("error"),
    openFile(path) {
      opened.push(path);
      if (path !== "/l") throw new SystemError("open", "EACCES", "Permission denied", path);
      return into("file");
    },
    system: into("system").write,
  };
  const clock = { now: () => 1_700_000_000_012_345_678n, set: () => {}, syncHardware: () => Promise.resolve() };
  return { log: createLog({ logs, clock }, { verbose: false, ...config }, frozen), lines, opened };
}

const request = { name: "guest-ping", outcome: "ok", milliseconds: 0.12345678 };

test("without verbose only errors are written", () => {
  const { log, lines } = logWith({});
  for (const level of ["error", "critical", "warning", "message", "info", "debug"] as const) log.write(level, level);
  expect(lines.error).toBe("1700000000.012345: error: error\n1700000000.012345: critical: critical\n");
  expect(log.request).toBeUndefined();
});

test("with verbose everything is", () => {
  const { log, lines } = logWith({ verbose: true });
  log.write("debug", "x");
  log.request?.(request);
  expect(lines.error).toBe("1700000000.012345: debug: x\n1700000000.012345: info: guest-ping: ok in 0.123 ms\n");
});

test("a format asks for the lines of requests, and for no others", () => {
  const { log, lines } = logWith({ logFormat: "journal" });
  log.write("debug", "x");
  log.request?.(request);
  expect(lines.error).toBe("<6>guest-ping: ok in 0.123 ms\n");
});

test("a line of JSON", () => {
  const { log, lines } = logWith({ logFormat: "json", logfile: "/l" });
  log.request?.(request);
  expect(JSON.parse(lines.file)).toEqual({
    time: "2023-11-14T22:13:20.012Z",
    level: "info",
    text: "guest-ping: ok in 0.123 ms",
    name: "guest-ping",
    outcome: "ok",
    milliseconds: 0.123,
  });
});

test("a host cannot forge lines, nor fill the log with a name", () => {
  const { log, lines } = logWith({ verbose: true });
  log.request?.({ ...request, name: `a\nb\x1b${"x".repeat(1000)}` });
  log.account("a\nb");
  expect(lines.error).toBe(`1700000000.012345: info: a\\x0ab\\x1b${"x".repeat(60)}: ok in 0.123 ms\n`);
  expect(lines.system).toBe("a\\x0ab");
});

test("while frozen nothing is written, afterwards it goes on", () => {
  const { log, lines } = logWith({ verbose: true });
  log.pause();
  log.write("error", "x");
  log.request?.(request);
  log.account("x");
  expect(lines).toEqual({ error: "", file: "", system: "" });
  log.resume();
  log.write("error", "y");
  expect(lines.error).toBe("1700000000.012345: error: y\n");
});

test("found frozen, the file is opened after the thaw", () => {
  const { log, lines, opened } = logWith({ logfile: "/l" }, true);
  log.write("error", "x");
  expect(opened).toEqual([]);
  log.resume();
  log.write("error", "y");
  expect(opened).toEqual(["/l"]);
  expect(lines).toEqual({ error: "", file: "1700000000.012345: error: y\n", system: "" });
});

test("a file that cannot be opened is an error at the start, after a thaw it is a line", () => {
  expect(() => logWith({ logfile: "/x" })).toThrow("open /x: Permission denied");
  const { log, lines } = logWith({ logfile: "/x" }, true);
  log.resume();
  expect(lines.error).toContain("critical: unable to open the log file: open /x: Permission denied\n");
});
