/** The names of virtio ports by which hosts of each kind are found. */
import type { DialectName } from "./options.ts";

/** In the order in which they are looked for: of two names for the same kind of host the older one comes first. */
export const KNOWN_PORTS: readonly { readonly name: string; readonly dialect: DialectName }[] = [
  { name: "org.qemu.guest_agent.0", dialect: "qga" },
  { name: "com.redhat.rhevm.vdsm", dialect: "ovirt" },
  { name: "ovirt-guest-agent.0", dialect: "ovirt" },
  { name: "com.eayun.eayunstack.0", dialect: "eayun" },
];

/**
 * The port that a dialect is spoken on when no other is named.
 * @param qgaPath the path of the QEMU guest agent's port, beside which the others lie
 */
export function portPathOf(dialect: DialectName, qgaPath: string): string {
  const known = KNOWN_PORTS.find((port) => port.dialect === dialect);
  return known === undefined || known.dialect === "qga" ? qgaPath : besidePort(qgaPath, known.name);
}

/** The path of another port in the same place. */
export const besidePort = (path: string, name: string): string => path.replace(/[^/\\]+$/, name);
