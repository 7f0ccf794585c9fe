/** Who the guest is and who uses it. */
import type { LoggedInUser } from "../../../guest.ts";
import { command } from "../command.ts";
import { int64, list, number, optional, string, struct } from "../wire.ts";

export const getHostName = command({
  name: "guest-get-host-name",
  since: "2.10",
  summary: "Returns the host name.",
  arguments: {},
  returns: struct({ "host-name": string }),
  run: (_, { guest }) => ({ "host-name": guest.identity.hostName() }),
});

export const getOsinfo = command({
  name: "guest-get-osinfo",
  since: "2.10",
  summary: "Describes the operating system and its kernel; what the system does not say is left out.",
  arguments: {},
  returns: struct({
    "kernel-release": optional(string),
    "kernel-version": optional(string),
    machine: optional(string),
    id: optional(string),
    name: optional(string),
    "pretty-name": optional(string),
    version: optional(string),
    "version-id": optional(string),
    variant: optional(string),
    "variant-id": optional(string),
  }),
  run: (_, { guest }) => {
    const info = guest.identity.osInfo();
    return {
      name: info.name,
      "kernel-release": info.kernelRelease,
      version: info.version,
      variant: info.variant,
      "pretty-name": info.prettyName,
      "version-id": info.versionId,
      "variant-id": info.variantId,
      "kernel-version": info.kernelVersion,
      machine: info.machine,
      id: info.id,
    };
  },
});

export const getTimezone = command({
  name: "guest-get-timezone",
  since: "2.10",
  summary: "Returns the local time zone's name and how many seconds it is east of UTC now.",
  arguments: {},
  returns: struct({ zone: optional(string), offset: int64 }),
  run: (_, { guest }) => {
    const { zone, offset } = guest.identity.timezone();
    return { zone, offset };
  },
});

/** Each user once, in the order in which they were found first, with the earliest login. */
function earliestLogins(sessions: readonly LoggedInUser[]): LoggedInUser[] {
  const byName = new Map<string, LoggedInUser>();
  for (const session of sessions) {
    const known = byName.get(session.user);
    if (known === undefined || session.loginTime < known.loginTime) byName.set(session.user, session);
  }
  return [...byName.values()];
}

export const getUsers = command({
  name: "guest-get-users",
  since: "2.10",
  summary: "Lists the users who are logged in, with the seconds since 1970 of their earliest login.",
  arguments: {},
  returns: list(struct({ user: string, "login-time": number, domain: optional(string) })),
  run: (_, { guest }) =>
    earliestLogins(guest.identity.users()).map(({ user, loginTime, domain }) => ({
      "login-time": loginTime,
      user,
      domain,
    })),
});
