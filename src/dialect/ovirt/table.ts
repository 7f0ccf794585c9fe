/** Every message and command of the oVirt dialect. */
import type { OvirtCommand } from "./command.ts";
import { lifecycleEvent } from "./commands/lifecycle.ts";
import { hibernate, shutdown } from "./commands/power.ts";
import { apiVersion, echoCommand, refresh } from "./commands/protocol.ts";
import { lockScreen, login, logOff } from "./commands/session.ts";
import { setNumberOfCpus } from "./commands/vcpus.ts";
import type { Message } from "./message.ts";
import { disksUsage } from "./messages/disks.ts";
import { fqdn, hostName, osInfo, osVersion, timezone } from "./messages/identity.ts";
import { heartbeat } from "./messages/memory.ts";
import { networkInterfaces } from "./messages/network.ts";
import { activeUser, sessionStartup } from "./messages/session.ts";
import { applications, containers } from "./messages/software.ts";
import { numberOfCpus } from "./messages/vcpus.ts";

/** Messages that come by themselves, in the order in which a refresh sends them. */
export const REGULAR_MESSAGES: readonly Message[] = [
  sessionStartup,
  activeUser,
  applications,
  containers,
  hostName,
  osVersion,
  networkInterfaces,
  disksUsage,
  fqdn,
  timezone,
  osInfo,
  numberOfCpus,
  heartbeat,
];

export const OVIRT_COMMANDS: readonly OvirtCommand[] = [
  lockScreen,
  logOff,
  shutdown,
  login,
  refresh,
  echoCommand,
  hibernate,
  setNumberOfCpus,
  apiVersion,
  lifecycleEvent,
];
