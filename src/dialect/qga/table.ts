/** Every command of the QGA framing. */
import type { Agent } from "../../agent.ts";
import type { Config } from "../../config/config.ts";
import type { Guest } from "../../guest.ts";
import { BCLINUX_COMMANDS } from "./bclinux.ts";
import type { Command } from "./command.ts";
import { setUserPassword } from "./commands/accounts.ts";
import { getDevices } from "./commands/devices.ts";
import { exec, execStatus } from "./commands/exec.ts";
import { fileClose, fileFlush, fileOpen, fileRead, fileSeek, fileWrite } from "./commands/files.ts";
import { fsfreezeFreeze, fsfreezeFreezeList, fsfreezeStatus, fsfreezeThaw } from "./commands/fsfreeze.ts";
import { getHostName, getOsinfo, getTimezone, getUsers } from "./commands/identity.ts";
import { info } from "./commands/info.ts";
import { getMemoryBlockInfo, getMemoryBlocks, setMemoryBlocks } from "./commands/memory-blocks.ts";
import { networkGetInterfaces, networkGetRoute } from "./commands/network.ts";
import { ping } from "./commands/ping.ts";
import { shutdown, suspendDisk, suspendHybrid, suspendRam } from "./commands/power.ts";
import { sshAddAuthorizedKeys, sshGetAuthorizedKeys, sshRemoveAuthorizedKeys } from "./commands/ssh-keys.ts";
import { getCpustats, getDiskstats, getLoad } from "./commands/statistics.ts";
import { fstrim, getDisks, getFsinfo } from "./commands/storage.ts";
import { sync, syncDelimited } from "./commands/sync.ts";
import { getTime, setTime } from "./commands/time.ts";
import { getVcpus, setVcpusCommand } from "./commands/vcpus.ts";

/** In the order in which guest-info lists them. */
export const QGA_COMMANDS: readonly Command[] = [
  networkGetRoute,
  getLoad,
  getCpustats,
  getDiskstats,
  sshRemoveAuthorizedKeys,
  sshAddAuthorizedKeys,
  sshGetAuthorizedKeys,
  getDevices,
  getOsinfo,
  getTimezone,
  getUsers,
  getHostName,
  exec,
  execStatus,
  getMemoryBlockInfo,
  setMemoryBlocks,
  getMemoryBlocks,
  setUserPassword,
  getFsinfo,
  getDisks,
  setVcpusCommand,
  getVcpus,
  networkGetInterfaces,
  suspendHybrid,
  suspendRam,
  suspendDisk,
  fstrim,
  fsfreezeThaw,
  fsfreezeFreezeList,
  fsfreezeFreeze,
  fsfreezeStatus,
  fileFlush,
  fileSeek,
  fileWrite,
  fileRead,
  fileClose,
  fileOpen,
  shutdown,
  info,
  setTime,
  getTime,
  ping,
  sync,
  syncDelimited,
];

const COMMANDS: Readonly<Partial<Record<Config["dialect"], readonly Command[]>>> = {
  qga: QGA_COMMANDS,
  bclinux: [...BCLINUX_COMMANDS, ...QGA_COMMANDS],
};

/** The commands that such a guest has. */
export const supportedCommands = (guest: Guest, dialect: Config["dialect"] = "qga"): readonly Command[] =>
  (COMMANDS[dialect] ?? QGA_COMMANDS).filter((command) => command.supported?.(guest) ?? true);

const known = new WeakMap<Agent, ReadonlyMap<string, Command>>();

function commandMap(agent: Agent): ReadonlyMap<string, Command> {
  let map = known.get(agent);
  if (map === undefined) {
    map = new Map(supportedCommands(agent.guest, agent.config.dialect).map((command) => [command.name, command]));
    known.set(agent, map);
  }
  return map;
}

/** The commands that this guest and dialect have. */
export const commandsOf = (agent: Agent): readonly Command[] => [...commandMap(agent).values()];

/** The command of that name, if there is one. */
export const findCommand = (agent: Agent, name: string): Command | undefined => commandMap(agent).get(name);
