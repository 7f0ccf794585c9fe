/** Every command of the QGA framing. */
import type { Agent } from "../../agent.ts";
import type { Config } from "../../config/config.ts";
import type { Guest } from "../../guest.ts";
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

const bclinuxCommands = (): readonly Command[] => {
  const { BCLINUX_COMMANDS }: typeof import("./bclinux.ts") = require("./bclinux.ts");
  return [...BCLINUX_COMMANDS, ...QGA_COMMANDS];
};

/** What a dialect declares, whatever the guest can do. */
const declaredFor = (dialect: Config["dialect"]): readonly Command[] =>
  dialect === "bclinux" ? bclinuxCommands() : QGA_COMMANDS;

const isSupported = (command: Command, guest: Guest): boolean => command.supported?.(guest) ?? true;

/** The commands that such a guest has. */
export const supportedCommands = (guest: Guest, dialect: Config["dialect"] = "qga"): readonly Command[] =>
  declaredFor(dialect).filter((command) => isSupported(command, guest));

/** The commands that this guest and dialect have. */
export const commandsOf = ({ guest, config }: Agent): readonly Command[] => supportedCommands(guest, config.dialect);

const byName = new Map<Config["dialect"], ReadonlyMap<string, Command>>();

/** The command of that name, if there is one. Only its own facet of the guest is looked at. */
export function findCommand({ guest, config: { dialect } }: Agent, name: string): Command | undefined {
  let commands = byName.get(dialect);
  if (commands === undefined) {
    commands = new Map(declaredFor(dialect).map((command) => [command.name, command]));
    byName.set(dialect, commands);
  }
  const command = commands.get(name);
  return command !== undefined && isSupported(command, guest) ? command : undefined;
}
