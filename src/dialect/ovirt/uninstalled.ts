/** The last word of an agent that is removed from its guest. */
import { type Guest, SystemError } from "../../guest.ts";
import { uninstalled } from "./messages/session.ts";
import { lineOf } from "./session.ts";

/**
 * Tells an oVirt host that the agent was removed; the agent itself must not hold the port any more.
 * @returns whether the host has taken it: false when there is no such port, nobody at its other end, or it is in use
 */
export function sayUninstalled({ ports }: Guest, path: string): boolean {
  try {
    const port = ports.openVirtioSerial(path);
    const line = Buffer.from(lineOf(uninstalled.name, {}));
    try {
      return port.write(line, 0, line.byteLength) === line.byteLength;
    } finally {
      port.close();
    }
  } catch (error) {
    if (error instanceof SystemError) return false;
    throw error;
  }
}
