/** The last login that the system has written down (wtmp(5)). */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

const FILE = "/var/log/wtmp";

/** struct utmpx of glibc; on x86-64 its times have 32 bits. */
const RECORD = process.arch === "x64" ? { size: 384, seconds: 340 } : { size: 400, seconds: 344 };
const TYPE = 0;
const LINE = { start: 8, end: 40 } as const;
const USER = { start: 44, end: 76 } as const;
const HOST = { start: 76, end: 332 } as const;
const USER_PROCESS = 7;

const textIn = (record: Buffer, { start, end }: { readonly start: number; readonly end: number }): string =>
  record.toString("utf8", start, end).split("\0", 1)[0] ?? "";

/** A record as one line: user, terminal, host and time (UTC); undefined when it is no login. */
export function describeLogin(record: Buffer): string | undefined {
  if (record.readInt16LE(TYPE) !== USER_PROCESS) return undefined;
  const time = new Date(record.readUInt32LE(RECORD.seconds) * 1000).toISOString();
  return [textIn(record, USER), textIn(record, LINE), textIn(record, HOST), time]
    .filter((word) => word !== "")
    .join(" ");
}

/** The last login as one line; empty when none is known. */
export function lastLogin(path = FILE): string {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch {
    return "";
  }
  try {
    const record = Buffer.alloc(RECORD.size);
    for (let index = Math.floor(fstatSync(fd).size / RECORD.size) - 1; index >= 0; index--) {
      readSync(fd, record, 0, RECORD.size, index * RECORD.size);
      const login = describeLogin(record);
      if (login !== undefined) return login;
    }
    return "";
  } finally {
    closeSync(fd);
  }
}
