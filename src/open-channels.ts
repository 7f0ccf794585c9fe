/** Opens the ways to hosts: those that the configuration names, else every port that a host of a known kind has. */
import type { Agent } from "./agent.ts";
import type { Channel } from "./channel/channel.ts";
import { type Serving, serveLine, serveListener } from "./channel/serving.ts";
import { TRANSPORTS } from "./channel/transport.ts";
import type { ChannelConfig } from "./config/config.ts";
import { besidePort, KNOWN_PORTS } from "./config/known-ports.ts";
import type { DialectName } from "./config/options.ts";
import { SESSION_MAKERS } from "./dialect/dialects.ts";

/** The directory that the oVirt agent's own settings name for its ports. */
function ovirtPrefix({ guest, log }: Agent): string | undefined {
  const { ovirtConfigFile } = guest.paths;
  if (ovirtConfigFile === undefined || !guest.files.exists(ovirtConfigFile)) return undefined;
  const { loadSettings }: typeof import("./dialect/ovirt/settings.ts") = require("./dialect/ovirt/settings.ts");
  return loadSettings(guest, log).device_prefix;
}

interface KnownPort extends ChannelConfig {
  readonly path: string;
}

function knownPort(agent: Agent, name: string, dialect: DialectName): KnownPort {
  const prefix = dialect === "ovirt" ? ovirtPrefix(agent)?.replace(/[/\\]+$/, "") : undefined;
  const path = prefix === undefined ? besidePort(agent.guest.ports.defaults.virtioSerial, name) : `${prefix}/${name}`;
  return { method: "virtio-serial", dialect, path };
}

/**
 * @param open where the open channels are noted
 * @throws SystemError, PathError when one cannot be opened, and is not to be waited for
 */
export function openChannels(agent: Agent, open: Set<Channel>): void {
  const { guest, config, log } = agent;
  /** How many there are that may still bring a host. */
  let ways = 0;
  const lost = (): void => {
    ways--;
    if (ways === 0) guest.loop.stop();
  };

  const servingOf = ({ dialect, method, path }: ChannelConfig): Serving => {
    const speaking = config.dialect === dialect ? agent : { ...agent, config: { ...config, dialect } };
    const portName = method === "virtio-serial" ? path?.split(/[/\\]/).at(-1) : undefined;
    const description = { dialect, portName };
    const session: Serving["session"] = (outbox, resume, enough) =>
      SESSION_MAKERS[dialect]()(speaking, description, outbox, resume, enough);
    return { guest, log, open, session };
  };

  const serveChannel = (channel: ChannelConfig, mayWait: () => boolean): void => {
    const serving = servingOf(channel);
    const activated = channel.path === undefined ? guest.ports.activated() : undefined;
    ways++;
    if (activated !== undefined) return serveListener(activated.listen(), serving);
    const transport = TRANSPORTS[channel.method](guest.ports, channel.path);
    if (transport.kind === "listener") serveListener(transport.listen(), serving);
    else serveLine(transport, serving, mayWait, lost);
  };

  for (const channel of config.channels) serveChannel(channel, () => config.retryPath);
  if (config.channels.length > 0) return;

  const [qga, ...others] = KNOWN_PORTS.map(({ name, dialect }) => knownPort(agent, name, dialect));
  /** Without any of the others the agent ends when its port does, as the QEMU guest agent. */
  let staying = config.retryPath;
  for (const port of others) {
    const serveIt = (): void => {
      staying = true;
      serveChannel(port, () => true);
    };
    if (guest.files.exists(port.path)) {
      serveIt();
      continue;
    }
    const unwatch = guest.ports.watchPath(port.path, () => {
      unwatch();
      serveIt();
    });
  }
  if (qga !== undefined) serveChannel(qga, () => staying);
}
