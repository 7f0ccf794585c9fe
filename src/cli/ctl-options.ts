/** The options of `inguest ctl` that all verbs have, each declared once. */
import type { DescribedOption } from "../config/help.ts";

/** Which agent is meant: one of these is needed. */
export const TARGET_OPTIONS = {
  socket: {
    long: "socket",
    short: "s",
    argument: "required",
    placeholder: "PATH",
    help: "the unix socket at which the hypervisor or the agent listens",
  },
  libvirt: {
    long: "libvirt",
    short: "l",
    argument: "required",
    placeholder: "DOMAIN",
    help: "a machine of libvirt, by virsh qemu-agent-command",
  },
  vsock: {
    long: "vsock",
    argument: "required",
    placeholder: "CID:PORT",
    help: "an agent that listens for vsock connections",
  },
  serial: {
    long: "serial",
    argument: "required",
    placeholder: "PATH",
    help: "a serial line or pseudo-terminal",
  },
} as const satisfies Readonly<Record<string, DescribedOption>>;

export const CTL_OPTIONS = {
  ...TARGET_OPTIONS,
  timeout: {
    long: "timeout",
    short: "t",
    argument: "required",
    placeholder: "SECONDS",
    help: "give up when nothing was heard for so long; 0 waits for ever. Default: {timeout}",
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
    help: "print this help, or that of a verb, and exit",
  },
} as const satisfies Readonly<Record<string, DescribedOption>>;

export const DEFAULT_TIMEOUT_S = 10;
