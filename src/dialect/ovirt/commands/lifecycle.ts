/** Migration and hibernation: the administrator's own programs are run before and after. */
import * as v from "valibot";
import type { Agent } from "../../../agent.ts";
import { ProgramError, runProgram } from "../../../guest.ts";
import { ovirtCommand } from "../command.ts";
import { completion } from "../messages/answers.ts";

const EVENTS = ["before_hibernation", "after_hibernation", "before_migration", "after_migration"] as const;

/** The host has long lost patience by then; a program that hangs must not make the agent deaf for ever. */
const LONGEST_HOOK_MS = 10 * 60 * 1000;

/** Runs the programs of an event one after the other, in the order of their names. One that fails stops nothing. */
async function runHooks({ guest, log }: Agent, event: (typeof EVENTS)[number]): Promise<void> {
  const { ovirtHooks } = guest.paths;
  if (ovirtHooks === undefined) return;
  const directory = `${ovirtHooks}/${event}`;
  for (const name of [...(guest.files.names?.(directory) ?? [])].sort()) {
    try {
      await runProgram(guest.processes, [`${directory}/${name}`], { timeout: LONGEST_HOOK_MS });
      log.write("info", `hook ${event}/${name} has run`);
    } catch (error) {
      if (!(error instanceof ProgramError)) throw error;
      log.write("warning", `hook ${error.message}`);
    }
  }
}

export const lifecycleEvent = ovirtCommand({
  name: "lifecycle-event",
  summary: "Runs the hooks of an event, then sends completion when the host gave a `reply_id`.",
  arguments: { type: v.picklist(EVENTS), reply_id: v.optional(v.any()) },
  async run({ type, reply_id: replyId }, conversation) {
    await runHooks(conversation.agent, type);
    if (replyId !== undefined) conversation.say(completion, replyId);
  },
});
