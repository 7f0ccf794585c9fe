/** The guest comes and goes, and so do its users. */
import { activeUser as activeUserOf } from "../../../capability/users.ts";
import { message, text } from "../message.ts";

export const sessionStartup = message({
  name: "session-startup",
  version: 0,
  summary: "The agent has started.",
  content: {},
  atStart: true,
  onRefresh: true,
  make: () => ({}),
});

export const sessionShutdown = message({
  name: "session-shutdown",
  version: 0,
  summary: "The agent ends in an orderly way, as it does when the guest shuts down.",
  content: {},
  make: () => ({}),
});

export const sessionLogon = message({
  name: "session-logon",
  version: 0,
  summary: "Somebody has logged in; active-user follows.",
  content: {},
  make: () => ({}),
});

export const sessionLogoff = message({
  name: "session-logoff",
  version: 0,
  summary: "Somebody has logged out; active-user follows.",
  content: {},
  make: () => ({}),
});

export const sessionLock = message({
  name: "session-lock",
  version: 0,
  summary: "A screen was locked.",
  content: {},
  make: () => ({}),
});

export const sessionUnlock = message({
  name: "session-unlock",
  version: 0,
  summary: "A screen was unlocked.",
  content: {},
  make: () => ({}),
});

/** What the host is told when nobody is there. */
const NOBODY = "None";

export const activeUser = message({
  name: "active-user",
  version: 0,
  summary: "The first of the users who are logged in, in the order of their names; `None` when nobody is.",
  content: { name: text },
  atStart: true,
  onRefresh: true,
  rate: "report_user_rate",
  onlyChanges: true,
  make: ({ guest }) => ({ name: activeUserOf(guest) ?? NOBODY }),
});

export const uninstalled = message({
  name: "uninstalled",
  version: 0,
  summary: "The agent was removed from the guest; `inguest uninstall` sends it.",
  content: {},
  make: () => ({}),
});
