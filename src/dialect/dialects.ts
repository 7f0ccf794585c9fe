/** What can be spoken on a channel. What a guest's hosts do not speak is never loaded. */
import type { Agent } from "../agent.ts";
import type { Outbox } from "../channel/outbox.ts";
import type { Session } from "../channel/session.ts";
import type { DialectName } from "../config/options.ts";
import type { Origin } from "../policy.ts";
import { createQgaSession } from "./qga/session.ts";

/** What a dialect knows of its channel. */
export type ChannelDescription = Origin;

/**
 * Makes the session of a host.
 * @param resume asks for a turn of the channel, to send what was put into the outbox or to go on reading
 * @param enough whether other channels should have their turn
 */
export type CreateSession = (
  agent: Agent,
  channel: ChannelDescription,
  outbox: Outbox,
  resume: () => void,
  enough: () => boolean,
) => Session;

const qga: CreateSession = (agent, _channel, outbox, resume, enough) => createQgaSession(agent, outbox, resume, enough);

/**
 * Modules are required and not imported where they are needed: import() would wait for Bun's own event loop, which does
 * not run in the agent.
 */
export const SESSION_MAKERS: Readonly<Record<DialectName, () => CreateSession>> = {
  qga: () => qga,
  bclinux: () => qga,
  ovirt: () => {
    const { createOvirtSession }: typeof import("./ovirt/session.ts") = require("./ovirt/session.ts");
    return createOvirtSession;
  },
  eayun: () => {
    const { createEayunSession }: typeof import("./eayun/session.ts") = require("./eayun/session.ts");
    return createEayunSession;
  },
};
