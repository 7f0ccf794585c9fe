/** What the words of the command line ask for. */
import { runAgent } from "./cli/agent.ts";
import type { Guest } from "./guest.ts";

/** Subcommands by their first word; what none needs is loaded when it is called. */
const SUBCOMMANDS: Readonly<Record<string, (guest: Guest, args: readonly string[]) => Promise<number>>> = {
  ctl: async (guest, args) => (await import("./cli/ctl.ts")).ctl(guest, args),
  install: async (guest, args) => (await import("./cli/install.ts")).install(guest, args),
  uninstall: async (guest, args) => (await import("./cli/install.ts")).uninstall(guest, args),
  doctor: async (guest, args) => (await import("./cli/doctor.ts")).doctor(guest, args),
  completion: async (guest, args) => (await import("./cli/completion/completion.ts")).completion(guest, args),
  man: async (guest, args) => (await import("./cli/man.ts")).man(guest, args),
};

/**
 * @param args what follows the program's name
 * @returns the exit code
 */
export function main(guest: Guest, args: readonly string[]): number | Promise<number> {
  const [first = "", ...rest] = args;
  const subcommand = Object.hasOwn(SUBCOMMANDS, first) ? SUBCOMMANDS[first] : undefined;
  return subcommand === undefined ? runAgent(guest, args) : subcommand(guest, rest);
}
