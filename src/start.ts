/** Runs the agent: from a configuration to channels, sessions and commands, until it is told to end. */
import type { Agent } from "./agent.ts";
import { createExecs } from "./capability/exec.ts";
import { createFileHandles } from "./capability/files.ts";
import { createFreeze } from "./capability/fsfreeze.ts";
import { type ChannelEvents, serve } from "./channel/channel.ts";
import { TRANSPORTS, type Transport } from "./channel/transport.ts";
import type { Config } from "./config/config.ts";
import { createQgaSession } from "./dialect/qga/session.ts";
import { type Guest, type Listener, type Port, SystemError } from "./guest.ts";
import type { Log } from "./log.ts";
import { tidyOn } from "./memory.ts";
import { createHandleCounter } from "./state.ts";

/** How long a line that is there but cannot be opened (another agent has it) is left alone. */
const RETRY_MS = 5000;

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

/** Serves one host after the other. */
function serveListener(listener: Listener, agent: Agent, events: Omit<ChannelEvents, "ended">): void {
  let busy = false;
  const next = (): void => {
    if (busy) return;
    let port: Port | undefined;
    try {
      port = listener.accept();
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      agent.log.write("warning", `error accepting a connection: ${error.message}`);
    }
    if (port === undefined) return;
    busy = true;
    serve(port, agent.guest.loop, {
      ...events,
      ended(reason) {
        if (reason !== undefined) agent.log.write("warning", `error on the channel: ${reason.message}`);
        busy = false;
        // Not from within the old connection's call: a crowd of hosts that come and go would nest without end.
        agent.guest.loop.soon(next);
      },
    });
  };
  listener.watch(next);
  next();
}

/** Serves a line; with `retryPath` it is opened again whenever it comes back. @throws SystemError */
function serveLine(line: Transport & { kind: "line" }, agent: Agent, events: Omit<ChannelEvents, "ended">): void {
  const { guest, config, log } = agent;
  const open = (): void => {
    serve(line.open(), guest.loop, {
      ...events,
      ended(reason) {
        log.write("warning", `the channel ended: ${reason?.message ?? "closed"}`);
        if (config.retryPath) wait();
        else guest.loop.stop();
      },
    });
  };
  const wait = (): void => {
    let timer: (() => void) | undefined;
    const attempt = (): void => {
      timer?.();
      timer = undefined;
      try {
        open();
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        log.write("debug", `still waiting for the channel: ${error.message}`);
        if (guest.files.exists(line.path)) timer = guest.loop.after(RETRY_MS, attempt);
        return;
      }
      unwatch();
      log.write("warning", `the channel ${line.path} is there`);
    };
    log.write("warning", `waiting for channel path ${line.path}`);
    const unwatch = guest.ports.watchPath(line.path, attempt);
    guest.loop.soon(attempt);
  };
  if (!config.retryPath) return open();
  try {
    open();
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    wait();
  }
}

/**
 * Runs until SIGTERM, SIGINT or the end of the only line.
 * @param ready called once the channel is open
 * @returns the exit code
 * @throws SystemError, PathError when the channel cannot be opened
 */
export function startAgent(guest: Guest, config: Config, log: Log, ready: () => void = () => {}): number {
  const agent = createAgent(guest, config, log);
  const events = {
    session: (outbox: Parameters<ChannelEvents["session"]>[0], resume: () => void) =>
      createQgaSession(agent, outbox, resume),
  };
  tidyOn(guest.loop);
  guest.loop.onTerminate((reason) => {
    if (agent.freeze.frozen) return log.write("warning", `${reason} ignored: filesystems are frozen`);
    log.write("debug", `received ${reason}, quitting`);
    guest.loop.stop();
  });
  const activated = guest.ports.activated();
  if (activated !== undefined) serveListener(activated.listen(), agent, events);
  else {
    const transport = TRANSPORTS[config.method](guest.ports, config.path);
    if (transport.kind === "listener") serveListener(transport.listen(), agent, events);
    else serveLine(transport, agent, events);
  }
  ready();
  guest.loop.run();
  return 0;
}
