/** Who is logged in: utmp(5), or the login manager's own records where the system keeps no utmp any more. */
import type { LoggedInUser } from "../../src/guest.ts";
import { namesIn } from "./directory.ts";
import { contentOf, textOf } from "./whole-file.ts";

const RECORD = { type: 0, line: 8, user: 44, textSize: 32 } as const;

/** struct utmpx; what differs is the type of the times. */
export interface UtmpLayout {
  readonly timeSize: 4 | 8;
  /** Where the seconds start; the microseconds follow. */
  readonly seconds: number;
  readonly size: number;
}
export const COMPACT: UtmpLayout = { timeSize: 4, seconds: 340, size: 384 };
export const WIDE: UtmpLayout = { timeSize: 8, seconds: 344, size: 400 };

const USER_PROCESS = 7;

/** The GNU library keeps 32-bit times on x86-64, where 32-bit programs share the file; utmps always has 64 bits. */
const UTMP = { path: "/var/run/utmp", layout: process.arch === "x64" ? COMPACT : WIDE } as const;
const UTMPS = { path: "/run/utmps/utmp", layout: WIDE } as const;

function textAt(file: Buffer, start: number): string {
  const end = file.indexOf(0, start);
  const limit = start + RECORD.textSize;
  return file.toString("utf8", start, end < 0 ? limit : Math.min(end, limit));
}

/** The records of user sessions, in the file's order; an incomplete record at its end is passed over. */
export function parseUtmp(file: Buffer, layout: UtmpLayout): LoggedInUser[] {
  const found: LoggedInUser[] = [];
  for (let at = 0; at + layout.size <= file.byteLength; at += layout.size) {
    if (file.readInt16LE(at + RECORD.type) !== USER_PROCESS) continue;
    const time = at + layout.seconds;
    const [seconds, microseconds] =
      layout.timeSize === 4
        ? [file.readUInt32LE(time), file.readInt32LE(time + 4)]
        : [Number(file.readBigInt64LE(time)), Number(file.readBigInt64LE(time + 8))];
    found.push({
      user: textAt(file, at + RECORD.user),
      terminal: textAt(file, at + RECORD.line),
      loginTime: seconds + microseconds / 1e6,
    });
  }
  return found;
}

/** A session's record of systemd-logind: `NAME=value` lines. Sessions of services and of login screens give undefined. */
export function parseLogindSession(text: string): LoggedInUser | undefined {
  const value = (name: string): string | undefined => new RegExp(`^${name}=(.*)$`, "m").exec(text)?.[1];
  const user = value("USER");
  const since = Number(value("REALTIME"));
  if (user === undefined || Number.isNaN(since)) return undefined;
  if (!(value("CLASS") ?? "user").startsWith("user") || value("STATE") === "closing") return undefined;
  const terminal = value("TTY");
  return { user, ...(terminal === undefined ? {} : { terminal }), loginTime: since / 1e6 };
}

const LOGIND = "/run/systemd/sessions";

function logindSessions(): LoggedInUser[] | undefined {
  const names = namesIn(LOGIND);
  if (names === undefined) return undefined;
  const found: LoggedInUser[] = [];
  for (const name of names) {
    // Beside each record lies a pipe, `<id>.ref`.
    if (name.includes(".")) continue;
    const session = parseLogindSession(textOf(`${LOGIND}/${name}`) ?? "");
    if (session !== undefined) found.push(session);
  }
  return found.sort((left, right) => left.loginTime - right.loginTime);
}

function utmpSessions({ path, layout }: typeof UTMP | typeof UTMPS): LoggedInUser[] | undefined {
  const file = contentOf(path);
  return file === undefined ? undefined : parseUtmp(file, layout);
}

/** The sessions of the first record that the system keeps; none when it keeps none. */
export const loggedInUsers = (): readonly LoggedInUser[] =>
  utmpSessions(UTMP) ?? logindSessions() ?? utmpSessions(UTMPS) ?? [];
