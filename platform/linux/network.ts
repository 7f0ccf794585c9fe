/**
 * Network interfaces, asked of the kernel over rtnetlink(7), and its routing tables.
 *
 * Interfaces come in the order of getifaddrs(3): links as the kernel lists them, then their addresses.
 */
import type { Counter, InterfaceCounters, Network, NetworkInterface, Route } from "../../src/guest.ts";
import { ipv4Text, ipv6Text } from "./inet.ts";
import { check, EINTR, errno, libc, systemError } from "./libc.ts";
import { requiredText, textOf } from "./whole-file.ts";

const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const NETLINK_ROUTE = 0;

/** struct nlmsghdr (netlink(7)). */
const HEADER = { length: 0, type: 4, flags: 6, size: 16 } as const;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_REQUEST = 1;
const NLM_F_DUMP = 0x300;
/** The table changed while it was listed. */
const NLM_F_DUMP_INTR = 0x10;
const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_GETADDR = 22;

/** struct ifinfomsg and struct ifaddrmsg (rtnetlink(7)), which follow the header; both requests have 16 bytes of it. */
const LINK = { index: 4, flags: 8, size: 16 } as const;
const ADDRESS = { family: 0, prefixLength: 1, index: 4, size: 8 } as const;

/** struct rtattr: its type's upper bits are flags. */
const ATTRIBUTE = { length: 0, type: 2, size: 4, typeMask: 0x3fff } as const;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_STATS64 = 23;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_LABEL = 3;

/** struct rtnl_link_stats64 (linux/if_link.h). */
const STATS = {
  rxPackets: 0,
  txPackets: 8,
  rxBytes: 16,
  txBytes: 24,
  rxErrors: 32,
  txErrors: 40,
  rxDropped: 48,
  txDropped: 56,
  rxMissed: 120,
  size: 128,
} as const;

const IFF_UP = 1;
const IFF_RUNNING = 0x40;

/** Bits of the flags in the order in which ip(8) prints them. */
const FLAG_NAMES: readonly (readonly [bit: number, name: string])[] = [
  [0x8, "LOOPBACK"],
  [0x2, "BROADCAST"],
  [0x10, "POINTOPOINT"],
  [0x1000, "MULTICAST"],
  [0x80, "NOARP"],
  [0x200, "ALLMULTI"],
  [0x100, "PROMISC"],
  [0x400, "MASTER"],
  [0x800, "SLAVE"],
  [0x4, "DEBUG"],
  [0x8000, "DYNAMIC"],
  [0x4000, "AUTOMEDIA"],
  [0x2000, "PORTSEL"],
  [0x20, "NOTRAILERS"],
  [IFF_UP, "UP"],
  [0x10000, "LOWER_UP"],
  [0x20000, "DORMANT"],
  [0x40000, "ECHO"],
];

/** The kernel fills at most 32 KiB a read. */
const buffer = Buffer.alloc(64 * 1024);
const request = Buffer.alloc(HEADER.size + LINK.size);
/** Offsets of the attributes of the message being read, by type; 0 is none. */
const attributes = new Uint16Array(64);

const ATTEMPTS = 4;
const MAC_SIZE = 6;

function receive(socket: number): number {
  for (;;) {
    const count = Number(libc.read(socket, buffer, buffer.byteLength));
    if (count >= 0) return count;
    const code = errno();
    if (code !== EINTR) throw systemError("read", code, "rtnetlink");
  }
}

/** Notes where each attribute in `buffer[from, end)` starts. */
function findAttributes(from: number, end: number): void {
  attributes.fill(0);
  for (let at = from; at + ATTRIBUTE.size <= end; ) {
    const length = buffer.readUInt16LE(at + ATTRIBUTE.length);
    if (length < ATTRIBUTE.size || at + length > end) return;
    const type = buffer.readUInt16LE(at + ATTRIBUTE.type) & ATTRIBUTE.typeMask;
    if (type < attributes.length) attributes[type] = at;
    at += (length + 3) & ~3;
  }
}

/** Bytes of the attribute's value; -1 when it is not there. */
const valueLength = (type: number): number => {
  const at = attributes[type] ?? 0;
  return at === 0 ? -1 : buffer.readUInt16LE(at + ATTRIBUTE.length) - ATTRIBUTE.size;
};

const valueAt = (type: number): number => (attributes[type] ?? 0) + ATTRIBUTE.size;

/** The attribute as text up to its NUL. */
function textValue(type: number): string | undefined {
  const length = valueLength(type);
  if (length < 0) return undefined;
  const start = valueAt(type);
  const end = buffer.indexOf(0, start);
  return buffer.toString("utf8", start, end < 0 ? start + length : Math.min(end, start + length));
}

/**
 * Lists one of the kernel's tables.
 * @returns false when it changed meanwhile, so that entries may be missing or double
 */
function dump(socket: number, type: number, entryType: number, entry: (body: number, end: number) => void): boolean {
  request.fill(0);
  request.writeUInt32LE(request.byteLength, HEADER.length);
  request.writeUInt16LE(type, HEADER.type);
  request.writeUInt16LE(NLM_F_REQUEST | NLM_F_DUMP, HEADER.flags);
  check(Number(libc.write(socket, request, request.byteLength)), "write", "rtnetlink");
  let isWhole = true;
  for (;;) {
    const count = receive(socket);
    if (count === 0) return isWhole;
    for (let at = 0; at + HEADER.size <= count; ) {
      const length = buffer.readUInt32LE(at + HEADER.length);
      if (length < HEADER.size || at + length > count) break;
      const found = buffer.readUInt16LE(at + HEADER.type);
      if ((buffer.readUInt16LE(at + HEADER.flags) & NLM_F_DUMP_INTR) !== 0) isWhole = false;
      if (found === NLMSG_DONE) return isWhole;
      if (found === NLMSG_ERROR) throw systemError("read", -buffer.readInt32LE(at + HEADER.size), "rtnetlink");
      if (found === entryType) entry(at + HEADER.size, at + length);
      at += (length + 3) & ~3;
    }
  }
}

/** The hardware address as SIOCGIFHWADDR of netdevice(7) gives it: six bytes, whatever the length of the real one. */
function macText(): string | undefined {
  const length = Math.min(valueLength(IFLA_ADDRESS), MAC_SIZE);
  const start = valueAt(IFLA_ADDRESS);
  let text = "";
  let isZero = true;
  for (let index = 0; index < MAC_SIZE; index++) {
    const byte = index < length ? (buffer[start + index] ?? 0) : 0;
    if (byte !== 0) isZero = false;
    text += `${index > 0 ? ":" : ""}${byte < 16 ? "0" : ""}${byte.toString(16)}`;
  }
  return isZero ? undefined : text;
}

function counter(at: number): Counter {
  const high = buffer.readUInt32LE(at + 4);
  return high < 2 ** 21 ? high * 2 ** 32 + buffer.readUInt32LE(at) : buffer.readBigUInt64LE(at);
}

const sum = (left: Counter, right: Counter): Counter =>
  typeof left === "number" && typeof right === "number" && Number.isSafeInteger(left + right)
    ? left + right
    : BigInt(left) + BigInt(right);

function counters(): InterfaceCounters | undefined {
  if (valueLength(IFLA_STATS64) < STATS.size) return undefined;
  const at = valueAt(IFLA_STATS64);
  return {
    rxBytes: counter(at + STATS.rxBytes),
    rxPackets: counter(at + STATS.rxPackets),
    rxErrors: counter(at + STATS.rxErrors),
    // /proc/net/dev, and what reads it, counts both as dropped.
    rxDropped: sum(counter(at + STATS.rxDropped), counter(at + STATS.rxMissed)),
    txBytes: counter(at + STATS.txBytes),
    txPackets: counter(at + STATS.txPackets),
    txErrors: counter(at + STATS.txErrors),
    txDropped: counter(at + STATS.txDropped),
  };
}

function flagNames(flags: number): string[] {
  const names = (flags & IFF_UP) !== 0 && (flags & IFF_RUNNING) === 0 ? ["NO-CARRIER"] : [];
  for (const [bit, name] of FLAG_NAMES) if ((flags & bit) !== 0) names.push(name);
  return names;
}

interface Link extends NetworkInterface {
  readonly addresses: NetworkInterface["addresses"][number][];
}

/** The message's address; the local end of a point-to-point link. */
function addressOf(family: number, prefix: number): Link["addresses"][number] | undefined {
  const type = valueLength(IFA_LOCAL) >= 0 ? IFA_LOCAL : IFA_ADDRESS;
  const at = valueAt(type);
  const length = valueLength(type);
  if (family === AF_INET && length === 4) return { family: 4, address: ipv4Text(buffer, at), prefix };
  if (family === AF_INET6 && length === 16) return { family: 6, address: ipv6Text(buffer, at), prefix };
  return undefined;
}

function listInterfaces(socket: number): { readonly isWhole: boolean; readonly found: readonly NetworkInterface[] } {
  const byName = new Map<string, Link>();
  const byIndex = new Map<number, Link>();
  const linksWhole = dump(socket, RTM_GETLINK, RTM_NEWLINK, (body, end) => {
    findAttributes(body + LINK.size, end);
    const name = textValue(IFLA_IFNAME);
    if (name === undefined) return;
    const mac = macText();
    const counted = counters();
    const link: Link = {
      name,
      ...(mac === undefined ? {} : { mac }),
      flags: flagNames(buffer.readUInt32LE(body + LINK.flags)),
      addresses: [],
      ...(counted === undefined ? {} : { counters: counted }),
    };
    byName.set(name, link);
    byIndex.set(buffer.readInt32LE(body + LINK.index), link);
  });
  const addressesWhole = dump(socket, RTM_GETADDR, RTM_NEWADDR, (body, end) => {
    findAttributes(body + ADDRESS.size, end);
    const family = buffer.readUInt8(body + ADDRESS.family);
    const device = byIndex.get(buffer.readInt32LE(body + ADDRESS.index));
    const address = addressOf(family, buffer.readUInt8(body + ADDRESS.prefixLength));
    if (device === undefined || address === undefined) return;
    const label = textValue(IFA_LABEL) ?? device.name;
    let owner = label === device.name ? device : byName.get(label);
    if (owner === undefined) {
      const { mac, flags } = device;
      owner = { name: label, ...(mac === undefined ? {} : { mac }), flags, addresses: [] };
      byName.set(label, owner);
    }
    owner.addresses.push(address);
  });
  return { isWhole: linksWhole && addressesWhole, found: [...byName.values()] };
}

function interfaces(): readonly NetworkInterface[] {
  for (let attempt = 1; ; attempt++) {
    const socket = check(libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), "socket", "rtnetlink");
    try {
      const { isWhole, found } = listInterfaces(socket);
      if (isWhole || attempt === ATTEMPTS) return found;
    } finally {
      libc.close(socket);
    }
  }
}

/** Eight digits of a number as the processor stores it: `0100007F` is 127.0.0.1. */
function ipv4OfHex(hex: string): string {
  const value = parseInt(hex, 16);
  return `${value & 255}.${(value >>> 8) & 255}.${(value >>> 16) & 255}.${value >>> 24}`;
}

const scratch = Buffer.alloc(16);
const UNSPECIFIED = "0".repeat(32);

function ipv6OfHex(hex: string): string {
  if (hex === UNSPECIFIED) return "::";
  scratch.write(hex, "hex");
  return ipv6Text(scratch, 0);
}

const HEX_ADDRESS = /^[\da-f]{32}$/i;
const ROUTE4_FIELDS = 11;

/** A line of /proc/net/route (proc_pid_net(5)): its heading and what is no route give undefined. */
export function parseRoute4(line: string): Route | undefined {
  // Blanks fill the line up. Names of interfaces have no ASCII blanks in them, but may have others.
  const field = line.split(/[ \t]+/);
  const [iface = "", destination = "", gateway = "", flags = "", refcnt, use, metric, mask = "", mtu, window, irtt] =
    field;
  if (field.length < ROUTE4_FIELDS || !/^[\dA-F]{8}$/i.test(destination)) return undefined;
  return {
    version: 4,
    iface,
    destination: ipv4OfHex(destination),
    gateway: ipv4OfHex(gateway),
    mask: ipv4OfHex(mask),
    metric: Number(metric),
    flags: parseInt(flags, 16),
    refcnt: Number(refcnt),
    use: Number(use),
    mtu: Number(mtu),
    window: Number(window),
    irtt: Number(irtt),
  };
}

const ROUTE6_FIELDS = 10;

/** A line of /proc/net/ipv6_route; what is no route gives undefined. */
export function parseRoute6(line: string): Route | undefined {
  const field = line.split(/ +/);
  const [destination = "", destinationPrefix = "", source = "", sourcePrefix = "", nextHop = "", ...rest] = field;
  const [metric = "", refcnt = "", use = "", flags = "", iface = ""] = rest;
  if (field.length < ROUTE6_FIELDS) return undefined;
  if (!HEX_ADDRESS.test(destination) || !HEX_ADDRESS.test(source) || !HEX_ADDRESS.test(nextHop)) return undefined;
  return {
    version: 6,
    iface,
    destination: ipv6OfHex(destination),
    destinationPrefix: parseInt(destinationPrefix, 16),
    source: ipv6OfHex(source),
    sourcePrefix: parseInt(sourcePrefix, 16),
    nextHop: ipv6OfHex(nextHop),
    metric: parseInt(metric, 16),
    flags: parseInt(flags, 16),
    refcnt: parseInt(refcnt, 16),
    use: parseInt(use, 16),
  };
}

const parseLines = (table: string, parse: (line: string) => Route | undefined): Route[] =>
  table
    .split("\n")
    .map(parse)
    .filter((route) => route !== undefined);

function routes(): readonly Route[] {
  const ipv4 = parseLines(requiredText("/proc/net/route"), parseRoute4);
  // A kernel without IPv6 still has routes of version 4.
  return [...ipv4, ...parseLines(textOf("/proc/net/ipv6_route") ?? "", parseRoute6)];
}

export const network: Network = { interfaces, routes };
