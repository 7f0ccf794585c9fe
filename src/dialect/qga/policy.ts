/** Which commands may be used, and why not. */
import type { Agent } from "../../agent.ts";
import type { Command } from "./command.ts";

/** Whether the command may run now: the frozen state wins over the block list, that over the allow list. */
export function isEnabled(command: Command, { freeze, config }: Agent): boolean {
  if (freeze.frozen) return command.allowedWhenFrozen === true;
  if (config.blockRpcs.includes(command.name)) return false;
  return config.allowRpcs.length === 0 || config.allowRpcs.includes(command.name);
}
