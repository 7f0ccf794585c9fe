/** Going down and going to sleep. */
import * as v from "valibot";
import { RequestError } from "../../../errors.ts";
import type { Power } from "../../../guest.ts";
import { type Conversation, ovirtCommand } from "../command.ts";

const MESSAGE = "System is going down";

/** Seconds as a number or a text; anything else means at once. */
const seconds = v.pipe(
  v.optional(v.unknown(), 0),
  v.transform((value): number => {
    const number = Math.trunc(Number(value));
    return Number.isFinite(number) && number > 0 ? number : 0;
  }),
);

function powerOf({ agent: { guest } }: Conversation): Power {
  if (guest.power === undefined) throw new RequestError("the guest has no way to do it");
  return guest.power;
}

export const shutdown = ovirtCommand({
  name: "shutdown",
  summary:
    "Shuts down, or restarts when `reboot` is the text `true`, after `timeout` seconds rounded up to minutes; users are " +
    "shown the `message`.",
  arguments: {
    timeout: seconds,
    message: v.fallback(v.string(), MESSAGE),
    reboot: v.pipe(
      v.optional(v.unknown(), false),
      v.transform((value) => String(value).toLowerCase() === "true"),
    ),
  },
  async run({ timeout, message, reboot }, conversation) {
    const mode = reboot ? "reboot" : "powerdown";
    conversation.agent.log.account(`oVirt host called shutdown, mode: ${mode}, after ${timeout} s`);
    await powerOf(conversation).shutdown(mode, message, Math.ceil(timeout / 60));
  },
});

/** What the host calls the ways to sleep. */
const STATES = { disk: "disk", mem: "ram" } as const;

export const hibernate = ovirtCommand({
  name: "hibernate",
  summary: "Suspends to disk, or to memory when `state` is `mem`.",
  arguments: { state: v.fallback(v.picklist(["disk", "mem"]), "disk") },
  async run({ state }, conversation) {
    conversation.agent.log.account(`oVirt host called hibernate, state: ${state}`);
    await powerOf(conversation).suspend(STATES[state]);
  },
});
