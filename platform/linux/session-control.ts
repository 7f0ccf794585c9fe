/** Sessions: when they come and go (inotify(7) on the records of sessions.ts), and what loginctl(1) can do to them. */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { AttemptsError, runProgram, type SessionEvent, type Sessions } from "../../src/guest.ts";
import { check, cstring, libc } from "./libc.ts";
import { EPOLLIN, unwatchFd, watchFd } from "./loop.ts";
import { processes } from "./processes.ts";
import { findProgram } from "./programs.ts";

const IN_NONBLOCK_CLOEXEC = 0o2004000;
const IN_MODIFY = 0x2;
const IN_MOVED_FROM = 0x40;
const IN_MOVED_TO = 0x80;
const IN_CREATE = 0x100;
const IN_DELETE = 0x200;
const IN_DELETE_SELF = 0x400;
const IN_MOVE_SELF = 0x800;

/** What is looked for in a directory that lacks the record. */
const APPEARING = IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF;

/** A record is written in place, or it is a directory of files. */
interface SessionRecord {
  readonly path: string;
  readonly events: number;
}

const LOGIND = "/run/systemd/sessions";
const RECORDS: readonly SessionRecord[] = [
  { path: "/var/run/utmp", events: IN_MODIFY | IN_DELETE_SELF | IN_MOVE_SELF },
  { path: "/run/utmps/utmp", events: IN_MODIFY | IN_DELETE_SELF | IN_MOVE_SELF },
  { path: LOGIND, events: IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF },
];

const events = Buffer.alloc(4096);

function nearestDirectory(path: string): string {
  let directory = dirname(path);
  while (!existsSync(directory)) directory = dirname(directory);
  return directory;
}

function watch(happened: (event: SessionEvent) => void): () => void {
  const fd = check(libc.inotify_init1(IN_NONBLOCK_CLOEXEC), "inotify_init1");
  const arm = (): void => {
    // Again for all: a watch that is there already stays as it is.
    for (const { path, events: wanted } of RECORDS) {
      if (libc.inotify_add_watch(fd, cstring(path), wanted) >= 0) continue;
      libc.inotify_add_watch(fd, cstring(nearestDirectory(path)), APPEARING);
    }
  };
  watchFd(fd, EPOLLIN, () => {
    arm();
    while (Number(libc.read(fd, events, events.byteLength)) > 0);
    happened("users");
  });
  arm();
  return () => {
    unwatchFd(fd);
    libc.close(fd);
  };
}

/** @throws ProgramError, AttemptsError when the guest has no logind */
async function loginctl(...words: readonly string[]): Promise<void> {
  const program = findProgram("loginctl");
  if (program === undefined || !existsSync(LOGIND)) throw new AttemptsError([]);
  await runProgram(processes, [program, ...words], { timeout: LOGINCTL_TIMEOUT });
}
const LOGINCTL_TIMEOUT = 30_000;

export const sessions: Sessions = {
  watch,
  lock: () => loginctl("lock-sessions"),
  end: (user) => loginctl("terminate-user", "--", user),
};
