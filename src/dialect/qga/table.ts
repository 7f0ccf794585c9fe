/** Every command of the QGA framing. */
import type { Agent } from "../../agent.ts";
import type { Config } from "../../config/config.ts";
import type { Guest } from "../../guest.ts";
import type { Command } from "./command.ts";

// Loaded with the first request for one of their commands, which for most never comes.
const accounts = (): typeof import("./commands/accounts.ts") => require("./commands/accounts.ts");
const devices = (): typeof import("./commands/devices.ts") => require("./commands/devices.ts");
const exec = (): typeof import("./commands/exec.ts") => require("./commands/exec.ts");
const files = (): typeof import("./commands/files.ts") => require("./commands/files.ts");
const fsfreeze = (): typeof import("./commands/fsfreeze.ts") => require("./commands/fsfreeze.ts");
const identity = (): typeof import("./commands/identity.ts") => require("./commands/identity.ts");
const info = (): typeof import("./commands/info.ts") => require("./commands/info.ts");
const memoryBlocks = (): typeof import("./commands/memory-blocks.ts") => require("./commands/memory-blocks.ts");
const network = (): typeof import("./commands/network.ts") => require("./commands/network.ts");
const ping = (): typeof import("./commands/ping.ts") => require("./commands/ping.ts");
const power = (): typeof import("./commands/power.ts") => require("./commands/power.ts");
const sshKeys = (): typeof import("./commands/ssh-keys.ts") => require("./commands/ssh-keys.ts");
const statistics = (): typeof import("./commands/statistics.ts") => require("./commands/statistics.ts");
const storage = (): typeof import("./commands/storage.ts") => require("./commands/storage.ts");
const sync = (): typeof import("./commands/sync.ts") => require("./commands/sync.ts");
const time = (): typeof import("./commands/time.ts") => require("./commands/time.ts");
const vcpus = (): typeof import("./commands/vcpus.ts") => require("./commands/vcpus.ts");

/** By name, in the order in which guest-info lists them. */
type CommandTable = Readonly<Record<string, () => Command>>;

const QGA: CommandTable = {
  "guest-network-get-route": () => network().networkGetRoute,
  "guest-get-load": () => statistics().getLoad,
  "guest-get-cpustats": () => statistics().getCpustats,
  "guest-get-diskstats": () => statistics().getDiskstats,
  "guest-ssh-remove-authorized-keys": () => sshKeys().sshRemoveAuthorizedKeys,
  "guest-ssh-add-authorized-keys": () => sshKeys().sshAddAuthorizedKeys,
  "guest-ssh-get-authorized-keys": () => sshKeys().sshGetAuthorizedKeys,
  "guest-get-devices": () => devices().getDevices,
  "guest-get-osinfo": () => identity().getOsinfo,
  "guest-get-timezone": () => identity().getTimezone,
  "guest-get-users": () => identity().getUsers,
  "guest-get-host-name": () => identity().getHostName,
  "guest-exec": () => exec().exec,
  "guest-exec-status": () => exec().execStatus,
  "guest-get-memory-block-info": () => memoryBlocks().getMemoryBlockInfo,
  "guest-set-memory-blocks": () => memoryBlocks().setMemoryBlocks,
  "guest-get-memory-blocks": () => memoryBlocks().getMemoryBlocks,
  "guest-set-user-password": () => accounts().setUserPassword,
  "guest-get-fsinfo": () => storage().getFsinfo,
  "guest-get-disks": () => storage().getDisks,
  "guest-set-vcpus": () => vcpus().setVcpusCommand,
  "guest-get-vcpus": () => vcpus().getVcpus,
  "guest-network-get-interfaces": () => network().networkGetInterfaces,
  "guest-suspend-hybrid": () => power().suspendHybrid,
  "guest-suspend-ram": () => power().suspendRam,
  "guest-suspend-disk": () => power().suspendDisk,
  "guest-fstrim": () => storage().fstrim,
  "guest-fsfreeze-thaw": () => fsfreeze().fsfreezeThaw,
  "guest-fsfreeze-freeze-list": () => fsfreeze().fsfreezeFreezeList,
  "guest-fsfreeze-freeze": () => fsfreeze().fsfreezeFreeze,
  "guest-fsfreeze-status": () => fsfreeze().fsfreezeStatus,
  "guest-file-flush": () => files().fileFlush,
  "guest-file-seek": () => files().fileSeek,
  "guest-file-write": () => files().fileWrite,
  "guest-file-read": () => files().fileRead,
  "guest-file-close": () => files().fileClose,
  "guest-file-open": () => files().fileOpen,
  "guest-shutdown": () => power().shutdown,
  "guest-info": () => info().info,
  "guest-set-time": () => time().setTime,
  "guest-get-time": () => time().getTime,
  "guest-ping": () => ping().ping,
  "guest-sync": () => sync().sync,
  "guest-sync-delimited": () => sync().syncDelimited,
};

const bclinux = (): CommandTable => {
  const { BCLINUX_COMMANDS }: typeof import("./bclinux.ts") = require("./bclinux.ts");
  return { ...Object.fromEntries(BCLINUX_COMMANDS.map((command) => [command.name, () => command])), ...QGA };
};

interface Entry {
  readonly load: () => Command;
  command?: Command;
}

const tables = new Map<Config["dialect"], ReadonlyMap<string, Entry>>();

/** What a dialect declares, whatever the guest can do. */
function declaredFor(dialect: Config["dialect"]): ReadonlyMap<string, Entry> {
  let table = tables.get(dialect);
  if (table === undefined) {
    const loaders = dialect === "bclinux" ? bclinux() : QGA;
    table = new Map(Object.entries(loaders).map(([name, load]) => [name, { load }]));
    tables.set(dialect, table);
  }
  return table;
}

const commandOf = (entry: Entry): Command => {
  entry.command ??= entry.load();
  return entry.command;
};

const isSupported = (command: Command, guest: Guest): boolean => command.supported?.(guest) ?? true;

/** The command of that name, whatever the guest can do. */
export function declaredCommand(name: string, dialect: Config["dialect"] = "qga"): Command | undefined {
  const entry = declaredFor(dialect).get(name);
  return entry === undefined ? undefined : commandOf(entry);
}

/** Every command that a dialect declares, whatever the guest can do. */
export const declaredCommands = (dialect: Config["dialect"] = "qga"): readonly Command[] =>
  Array.from(declaredFor(dialect).values(), commandOf);

/** The commands that such a guest has. */
export const supportedCommands = (guest: Guest, dialect: Config["dialect"] = "qga"): readonly Command[] =>
  declaredCommands(dialect).filter((command) => isSupported(command, guest));

/** The commands that this guest and dialect have. */
export const commandsOf = ({ guest, config }: Agent): readonly Command[] => supportedCommands(guest, config.dialect);

/** The command of that name, if there is one. Only its own facet of the guest is looked at. */
export function findCommand({ guest, config: { dialect } }: Agent, name: string): Command | undefined {
  const command = declaredCommand(name, dialect);
  return command !== undefined && isSupported(command, guest) ? command : undefined;
}
