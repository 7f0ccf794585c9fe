/** How a host is reached: one entry for each method. */
import type { Method } from "../config/config.ts";
import type { Listener, Port, Ports } from "../guest.ts";

/** A line that is there, or a socket that hosts connect to. */
export type Transport =
  | { readonly kind: "line"; readonly path: string; open(): Port }
  | { readonly kind: "listener"; listen(): Listener };

/** A path that the method cannot use. */
export class PathError extends Error {
  override name = "PathError";
}

function vsockAddress(path: string): { readonly cid: number; readonly port: number } {
  const [cid, port, ...rest] = path.split(":").map(Number);
  const isId = (id: number | undefined): id is number =>
    id !== undefined && Number.isInteger(id) && id >= 0 && id < 2 ** 32;
  if (rest.length > 0 || !isId(cid) || !isId(port)) throw new PathError(`vsock address '${path}' is not <cid>:<port>`);
  return { cid, port };
}

function required(path: string | undefined): string {
  if (path === undefined) throw new PathError("must specify a path for this channel");
  return path;
}

export const TRANSPORTS: Readonly<Record<Method, (ports: Ports, path: string | undefined) => Transport>> = {
  "virtio-serial": (ports, path = ports.defaults.virtioSerial) => ({
    kind: "line",
    path,
    open: () => ports.openVirtioSerial(path),
  }),
  "isa-serial": (ports, path = ports.defaults.isaSerial) => ({
    kind: "line",
    path,
    open: () => ports.openSerial(path),
  }),
  "unix-listen": (ports, path) => {
    const address = required(path);
    return { kind: "listener", listen: () => ports.listenUnix(address) };
  },
  "vsock-listen": (ports, path) => {
    const { cid, port } = vsockAddress(required(path));
    return { kind: "listener", listen: () => ports.listenVsock(cid, port) };
  },
  stdio: (ports, path = "standard input") => ({ kind: "line", path, open: () => ports.stdio() }),
};
