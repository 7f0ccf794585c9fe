/** The commands that the agent for BCLinux (qga-bc) adds to those of the QEMU guest agent. */
import { changeHostname, changePassword, userCheck } from "./bclinux/actions.ts";
import { getAppStatus, getDiskStatus, getMemoryStatus, getOomStatus, getSystemInfo } from "./bclinux/status.ts";
import type { Command } from "./command.ts";

export const BCLINUX_COMMANDS: readonly Command[] = [
  getMemoryStatus,
  getSystemInfo,
  getOomStatus,
  getAppStatus,
  getDiskStatus,
  userCheck,
  changeHostname,
  changePassword,
];
