/** guest-fsfreeze-*: consistent filesystems for a snapshot. */

import type { Agent } from "../../../agent.ts";
import { FrozenError } from "../../../capability/fsfreeze.ts";
import { type Guest, SystemError } from "../../../guest.ts";
import { command } from "../command.ts";
import { QgaError, quotingProgram } from "../errors.ts";
import { commandsOf } from "../table.ts";
import { enumeration, int64, list, optional, string } from "../wire.ts";

const supported = ({ freezer }: Guest): boolean => freezer !== undefined;

/** Waits for the number of filesystems; errors get the words of qemu-ga. */
async function counting(name: string, action: () => Promise<number>): Promise<number> {
  try {
    return await quotingProgram("execute fsfreeze hook", action());
  } catch (error) {
    if (error instanceof FrozenError) {
      throw new QgaError(`Command ${name} has been disabled: the command is not allowed`, "CommandNotFound");
    }
    if (!(error instanceof SystemError)) throw error;
    throw new QgaError(`failed to ${error.call} ${error.subject ?? "filesystems"}: ${error.reason}`);
  }
}

/** Freezes once all facets of the guest are loaded: they are when they are first looked at, and later nothing may be read. */
function freezing(name: string, agent: Agent, mountpoints?: readonly string[]): Promise<number> {
  commandsOf(agent);
  return counting(name, () => agent.freeze.freeze(mountpoints));
}

export const fsfreezeStatus = command({
  name: "guest-fsfreeze-status",
  since: "0.15.0",
  summary: "Tells whether this agent has filesystems frozen; another program's freeze is not seen.",
  arguments: {},
  returns: enumeration(["thawed", "frozen"]),
  allowedWhenFrozen: true,
  supported,
  run: (_, { freeze }) => freeze.status(),
});

export const fsfreezeFreeze = command({
  name: "guest-fsfreeze-freeze",
  since: "0.15.0",
  summary:
    "Runs the freeze hook, then writes out and freezes all local filesystems that can be frozen, and returns their " +
    "number. When one of them fails, all are thawed. Until guest-fsfreeze-thaw only a few commands are allowed.",
  arguments: {},
  returns: int64,
  supported,
  run: (_, agent) => freezing("guest-fsfreeze-freeze", agent),
});

export const fsfreezeFreezeList = command({
  name: "guest-fsfreeze-freeze-list",
  since: "2.2",
  summary:
    "As guest-fsfreeze-freeze, for the filesystems on these mountpoints. Paths on which none is mounted, and second " +
    "mountpoints of the same device, are passed over.",
  arguments: { mountpoints: optional(list(string)) },
  returns: int64,
  supported,
  run: ({ mountpoints }, agent) => freezing("guest-fsfreeze-freeze-list", agent, mountpoints),
});

export const fsfreezeThaw = command({
  name: "guest-fsfreeze-thaw",
  since: "0.15.0",
  summary:
    "Thaws all filesystems, whoever froze them, then runs the hook, and returns how many were frozen: fewer than " +
    "guest-fsfreeze-freeze returned means that some were thawed before this call.",
  arguments: {},
  returns: int64,
  allowedWhenFrozen: true,
  supported,
  run: (_, { freeze }) => counting("guest-fsfreeze-thaw", () => freeze.thaw()),
});
