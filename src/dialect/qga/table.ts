/** Every command of the QGA framing. */
import type { Agent } from "../../agent.ts";
import type { Command } from "./command.ts";
import { exec, execStatus } from "./commands/exec.ts";
import { fileClose, fileFlush, fileOpen, fileRead, fileSeek, fileWrite } from "./commands/files.ts";
import { info } from "./commands/info.ts";
import { ping } from "./commands/ping.ts";
import { sync, syncDelimited } from "./commands/sync.ts";

/** In the order in which guest-info lists them. */
export const QGA_COMMANDS: readonly Command[] = [
  execStatus,
  exec,
  fileFlush,
  fileSeek,
  fileWrite,
  fileRead,
  fileClose,
  fileOpen,
  info,
  ping,
  sync,
  syncDelimited,
];

const known = new WeakMap<Agent, ReadonlyMap<string, Command>>();

function commandMap(agent: Agent): ReadonlyMap<string, Command> {
  let map = known.get(agent);
  if (map === undefined) {
    const supported = QGA_COMMANDS.filter((command) => command.supported?.(agent.guest) ?? true);
    map = new Map(supported.map((command) => [command.name, command]));
    known.set(agent, map);
  }
  return map;
}

/** The commands that this guest and dialect have. */
export const commandsOf = (agent: Agent): readonly Command[] => [...commandMap(agent).values()];

/** The command of that name, if there is one. */
export const findCommand = (agent: Agent, name: string): Command | undefined => commandMap(agent).get(name);
