/** The users' sessions. */
import * as v from "valibot";
import { activeUser } from "../../../capability/users.ts";
import { RequestError } from "../../../errors.ts";
import { ovirtCommand } from "../command.ts";

export const lockScreen = ovirtCommand({
  name: "lock-screen",
  summary: "Locks the screen of every graphical session.",
  arguments: {},
  async run(_values, { agent }) {
    if (agent.guest.sessions === undefined) throw new RequestError("sessions cannot be locked here");
    await agent.guest.sessions.lock();
  },
});

export const logOff = ovirtCommand({
  name: "log-off",
  summary: "Ends the sessions of the active user.",
  arguments: {},
  async run(_values, { agent: { guest } }) {
    if (guest.sessions === undefined) throw new RequestError("sessions cannot be ended here");
    const user = activeUser(guest);
    if (user !== undefined) await guest.sessions.end(user);
  },
});

export const login = ovirtCommand({
  name: "login",
  summary: "Would hand credentials to the display manager, of which none takes them any more: it is refused.",
  arguments: { username: v.string(), password: v.string() },
  run() {
    throw new RequestError("no display manager here takes credentials from the agent");
  },
});
