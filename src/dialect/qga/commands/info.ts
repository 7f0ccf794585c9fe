/** guest-info: what this agent can do. */
import { command } from "../command.ts";
import { isEnabled } from "../policy.ts";
import { commandsOf } from "../table.ts";
import { QGA_VERSION } from "../version.ts";
import { boolean, list, string, struct } from "../wire.ts";

export const info = command({
  name: "guest-info",
  since: "0.15.0",
  summary: "Returns the version of the protocol's reference agent and every command with whether it may be used.",
  arguments: {},
  returns: struct({
    version: string,
    supported_commands: list(struct({ enabled: boolean, name: string, "success-response": boolean })),
  }),
  allowedWhenFrozen: true,
  run: (_, agent) => ({
    version: QGA_VERSION,
    supported_commands: commandsOf(agent).map((known) => ({
      enabled: isEnabled(known, agent),
      name: known.name,
      "success-response": known.successResponse ?? true,
    })),
  }),
});
