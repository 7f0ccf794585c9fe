/** Locking and ending the sessions of users. */
import { AttemptsError, type SessionEvent, type Sessions } from "../../src/guest.ts";
import { check } from "./errors.ts";
import { watchSessionChanges } from "./service.ts";
import { listSessions } from "./sessions.ts";
import { wtsapi32 } from "./wtsapi32.ts";

/** WTS_CONSOLE_CONNECT and the like (winuser.h). */
const EVENTS: Readonly<Record<number, SessionEvent>> = { 5: "users", 6: "users", 7: "lock", 8: "unlock" };

export const sessions: Sessions = {
  watch: (happened) =>
    watchSessionChanges((type) => {
      const event = EVENTS[type];
      if (event !== undefined) happened(event);
    }),
  async lock() {
    const active = listSessions().filter(({ user, active }) => active && user !== undefined);
    if (active.length === 0) throw new AttemptsError(["nobody is logged in"]);
    // Only a process in the session itself could lock it; disconnected, it is behind the lock screen too.
    for (const { id } of active) check(wtsapi32().WTSDisconnectSession(0, id, 0), "WTSDisconnectSession", String(id));
  },
  async end(name) {
    const theirs = listSessions().filter(({ user }) => user?.user.toLowerCase() === name.toLowerCase());
    if (theirs.length === 0) throw new AttemptsError([`${name} is not logged in`]);
    for (const { id } of theirs) check(wtsapi32().WTSLogoffSession(0, id, 0), "WTSLogoffSession", name);
  },
};
