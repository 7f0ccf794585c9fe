/** Sessions of users, at the console and over the network. */
import { type Pointer, toBuffer } from "bun:ffi";
import type { LoggedInUser } from "../../src/guest.ts";
import { fromFiletime } from "./clock.ts";
import { fromWide, wideAt } from "./wide.ts";
import { wtsapi32 } from "./wtsapi32.ts";

/** WTS_SESSION_INFOW (wtsapi32.h). */
const SESSION = { size: 24, id: 0, station: 8, state: 16 } as const;
const WTSSessionInfo = 24;
/** WTSINFOW (wtsapi32.h); times are FILETIMEs. */
const INFO = { size: 216, domain: 96, user: 130, logonTime: 200 } as const;
const DOMAIN_BYTES = 17 * 2;
const USER_BYTES = 21 * 2;
const NANOSECONDS = 1e9;

const pointerAt = (out: BigUint64Array): Pointer => Number(out[0]) as Pointer;

function sessionUser(id: number, station: string): LoggedInUser | undefined {
  const out = new BigUint64Array(1);
  const size = new Uint32Array(1);
  if (wtsapi32().WTSQuerySessionInformationW(0, id, WTSSessionInfo, out, size) === 0) return undefined;
  try {
    if ((size[0] ?? 0) < INFO.size) return undefined;
    const info = Buffer.from(toBuffer(pointerAt(out), 0, INFO.size));
    const user = fromWide(info, INFO.user, INFO.user + USER_BYTES);
    if (user === "") return undefined;
    return {
      user,
      domain: fromWide(info, INFO.domain, INFO.domain + DOMAIN_BYTES),
      ...(station === "" ? {} : { terminal: station }),
      loginTime: Number(fromFiletime(info.readBigInt64LE(INFO.logonTime))) / NANOSECONDS,
    };
  } finally {
    wtsapi32().WTSFreeMemory(pointerAt(out));
  }
}

/** A session, with or without a user. */
export interface Session {
  readonly id: number;
  /** Somebody sits at it now. */
  readonly active: boolean;
  readonly user: LoggedInUser | undefined;
}

const WTS_ACTIVE = 0;

/** Every session; empty when Windows does not tell. */
export function listSessions(): Session[] {
  const out = new BigUint64Array(1);
  const count = new Uint32Array(1);
  if (wtsapi32().WTSEnumerateSessionsW(0, 0, 1, out, count) === 0) return [];
  try {
    const length = count[0] ?? 0;
    if (length === 0) return [];
    const sessions = toBuffer(pointerAt(out), 0, length * SESSION.size);
    return Array.from({ length }, (_, index) => {
      const at = index * SESSION.size;
      const id = sessions.readUInt32LE(at + SESSION.id);
      const station = wideAt(Number(sessions.readBigUInt64LE(at + SESSION.station)) as Pointer);
      const active = sessions.readUInt32LE(at + SESSION.state) === WTS_ACTIVE;
      return { id, active, user: sessionUser(id, station) };
    });
  } finally {
    wtsapi32().WTSFreeMemory(pointerAt(out));
  }
}

/** Everybody who is logged in, one entry for each session. */
export const loggedInUsers = (): LoggedInUser[] =>
  listSessions()
    .map(({ user }) => user)
    .filter((user) => user !== undefined);
