/** Runs the agent: from a configuration to channels, sessions and commands, until it is told to end. */
import type { Agent } from "./agent.ts";
import { createExecs } from "./capability/exec.ts";
import { createFileHandles } from "./capability/files.ts";
import { createFreeze } from "./capability/fsfreeze.ts";
import type { Channel } from "./channel/channel.ts";
import type { Config } from "./config/config.ts";
import type { Guest } from "./guest.ts";
import type { Log } from "./log.ts";
import { tidyOn } from "./memory.ts";
import { openChannels } from "./open-channels.ts";
import { createHandleCounter } from "./state.ts";

function createAgent(guest: Guest, config: Config, log: Log): Agent {
  const freeze = createFreeze({ guest, config, log });
  return {
    guest,
    config,
    log,
    freeze,
    files: createFileHandles(guest, createHandleCounter(guest, config.statedir), () => freeze.frozen),
    execs: createExecs(guest),
  };
}

/**
 * Runs until SIGTERM, SIGINT or the end of the last line.
 * @param ready called once the channels are open
 * @returns the exit code
 * @throws SystemError, PathError when a channel cannot be opened
 */
export function startAgent(guest: Guest, config: Config, log: Log, ready: () => void = () => {}): number {
  const agent = createAgent(guest, config, log);
  const open = new Set<Channel>();
  // While filesystems are frozen nothing must have to be read again.
  tidyOn(guest.loop, guest.releaseMemory, () => !agent.freeze.frozen);
  guest.loop.onTerminate((reason) => {
    if (agent.freeze.frozen && guest.freezer?.endsWithAgent !== true) {
      return log.write("warning", `${reason} ignored: filesystems are frozen`);
    }
    log.write("debug", `received ${reason}, quitting`);
    for (const channel of open) channel.farewell();
    guest.loop.stop();
  });
  openChannels(agent, open);
  ready();
  guest.loop.run();
  return 0;
}
