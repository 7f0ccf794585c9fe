/** Which commands may be used, and why not. */
import type { Agent } from "../../agent.ts";
import { refusal } from "../../policy.ts";
import type { Command } from "./command.ts";

/** Whether the command may run now: the frozen state wins over the policy that all dialects share. */
export function isEnabled(command: Command, { freeze, config }: Agent): boolean {
  if (freeze.frozen) return command.allowedWhenFrozen === true;
  return refusal(command.name, config, { dialect: config.dialect }) === undefined;
}
