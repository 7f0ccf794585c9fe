/** What to do about the service, in the words of what runs services here. */
import { findManager } from "../install/managers.ts";

export interface Advice {
  /** How the agent is started. */
  readonly start: string;
  /** How it is started, and then seen whether it stays. */
  readonly startAndLook: string;
  readonly kernelLog: string;
  readonly timeService: string;
}

const INSTALL = "inguest install";

/** @param root stands before all paths, for tests */
export function adviceFor(root = ""): Advice {
  const [name, manager] = findManager(root) ?? [];
  const isService = manager?.hasService(root) === true;
  const hasJournal = name === "systemd";
  return {
    start: isService ? manager.advice.start : INSTALL,
    startAndLook: isService ? `${manager.advice.start}; ${manager.advice.look}` : INSTALL,
    kernelLog: hasJournal ? "journalctl -k" : "dmesg",
    timeService: hasJournal ? "timedatectl set-ntp true" : "run chrony or ntpd",
  };
}
