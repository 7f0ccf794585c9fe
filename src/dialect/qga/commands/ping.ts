/** Ping: proof that the agent is there. */
import { command } from "../command.ts";
import { struct } from "../wire.ts";

export const ping = command({
  name: "guest-ping",
  since: "0.15.0",
  summary: "Does nothing; a reply without error means that the agent is there.",
  arguments: {},
  returns: struct({}),
  allowedWhenFrozen: true,
  run: () => ({}),
});
