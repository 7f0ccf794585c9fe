/** The options of `inguest ctl`, each declared once. */
import type { DescribedOption } from "../config/help.ts";

export const CTL_OPTIONS = {
  socket: {
    long: "socket",
    short: "s",
    argument: "required",
    placeholder: "PATH",
    help: "the socket at which the hypervisor or the agent listens",
  },
  timeout: {
    long: "timeout",
    short: "t",
    argument: "required",
    placeholder: "SECONDS",
    help: "how long to wait for each answer; 0 waits for ever. Default: {timeout}",
  },
  json: {
    long: "json",
    short: "j",
    argument: "none",
    help: "print JSON on a terminal too",
  },
  help: {
    long: "help",
    short: "h",
    argument: "none",
    help: "print this help, and exit",
  },
} as const satisfies Readonly<Record<string, DescribedOption>>;
