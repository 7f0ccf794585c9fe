/** Network interfaces and routes (iphlpapi.h, netioapi.h). */
import type { Pointer } from "bun:ffi";
import type { Counter, InterfaceCounters, Network, NetworkInterface, Route } from "../../src/guest.ts";
import { ERROR, systemError } from "./errors.ts";
import { iphlpapi } from "./iphlpapi.ts";
import { addressIn, bytesAt, keepUntilHere, linked } from "./memory.ts";
import { ntdll } from "./ntdll.ts";
import { fromWide, wideAt, wideRoom } from "./wide.ts";

/** IP_ADAPTER_ADDRESSES_LH. */
export const ADAPTER = {
  size: 232,
  index: 4,
  next: 8,
  unicast: 24,
  friendlyName: 72,
  physical: 80,
  physicalLength: 88,
  type: 100,
  operStatus: 104,
  luid: 224,
} as const;
/** IP_ADAPTER_UNICAST_ADDRESS_LH. */
export const UNICAST = { size: 64, next: 8, sockaddr: 16, prefix: 56 } as const;
/** MIB_IF_ROW2. */
export const IF_ROW = {
  size: 1352,
  luid: 0,
  index: 8,
  inOctets: 1208,
  inUnicast: 1216,
  inDiscards: 1232,
  inErrors: 1240,
  outOctets: 1280,
  outUnicast: 1288,
  outDiscards: 1304,
  outErrors: 1312,
} as const;
/** MIB_IPFORWARD_ROW2; the table has 8 bytes before its first row. */
export const FORWARD_ROW = {
  size: 104,
  index: 8,
  destination: 12,
  prefix: 40,
  nextHop: 44,
  metric: 84,
  loopback: 92,
} as const;
const FORWARD_TABLE_HEADER = 8;
/** sockaddr_in and sockaddr_in6 (ws2ipdef.h). */
const SOCKADDR = { size: 28, ipv4: 4, ipv6: 8, scope: 24 } as const;

const AF_UNSPEC = 0;
const AF_INET = 2;
const AF_INET6 = 23;
const GAA_FLAG_INCLUDE_PREFIX = 0x10;
const FIRST_ROOM = 16 * 1024;
const IF_TYPE_SOFTWARE_LOOPBACK = 24;
const IF_OPER_STATUS_UP = 1;
/** RTF_* bits, as the other systems have them. */
const RTF_UP = 1;
const RTF_GATEWAY = 2;
const RTF_HOST = 4;

/** What GetAdaptersAddresses fills; the addresses in it point into itself. @throws SystemError */
function adapterList(): Buffer {
  const size = new Uint32Array([FIRST_ROOM]);
  for (;;) {
    const list = Buffer.from(new ArrayBuffer(size[0] ?? 0));
    const code = iphlpapi().GetAdaptersAddresses(AF_UNSPEC, GAA_FLAG_INCLUDE_PREFIX, null, list, size);
    if (code === ERROR.SUCCESS) return list;
    if (code === ERROR_NO_DATA) return Buffer.alloc(0);
    // It may have grown since.
    if (code !== ERROR_BUFFER_OVERFLOW) throw systemError("GetAdaptersAddresses", code);
  }
}
const ERROR_BUFFER_OVERFLOW = 111;
const ERROR_NO_DATA = 232;

interface IpAddress {
  readonly family: 4 | 6;
  readonly address: string;
  readonly isZero: boolean;
  readonly bits: number;
}

/** The address in a SOCKADDR_INET; undefined for one of another family. */
function ipAddress(sockaddr: Buffer): IpAddress | undefined {
  const family = sockaddr.readUInt16LE(0);
  if (family === AF_INET) {
    const bytes = sockaddr.subarray(SOCKADDR.ipv4, SOCKADDR.ipv4 + 4);
    return { family: 4, address: bytes.join("."), isZero: bytes.every((byte) => byte === 0), bits: 32 };
  }
  if (family !== AF_INET6) return undefined;
  const bytes = Buffer.from(sockaddr.subarray(SOCKADDR.ipv6, SOCKADDR.ipv6 + 16));
  const text = wideRoom(64);
  ntdll.RtlIpv6AddressToStringW(bytes, text);
  const scope = sockaddr.readUInt32LE(SOCKADDR.scope);
  return {
    family: 6,
    address: fromWide(text) + (scope === 0 ? "" : `%${scope}`),
    isZero: bytes.every((byte) => byte === 0),
    bits: 128,
  };
}

const counter = (row: Buffer, offset: number): Counter => {
  const value = row.readBigUInt64LE(offset);
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
};

function countersOf(luid: bigint, index: number): InterfaceCounters | undefined {
  const row = Buffer.alloc(IF_ROW.size);
  row.writeBigUInt64LE(luid, IF_ROW.luid);
  row.writeUInt32LE(index, IF_ROW.index);
  if (iphlpapi().GetIfEntry2(row) !== ERROR.SUCCESS) return undefined;
  return {
    rxBytes: counter(row, IF_ROW.inOctets),
    rxPackets: counter(row, IF_ROW.inUnicast),
    rxErrors: counter(row, IF_ROW.inErrors),
    rxDropped: counter(row, IF_ROW.inDiscards),
    txBytes: counter(row, IF_ROW.outOctets),
    txPackets: counter(row, IF_ROW.outUnicast),
    txErrors: counter(row, IF_ROW.outErrors),
    txDropped: counter(row, IF_ROW.outDiscards),
  };
}

function addressesOf(adapter: Buffer): NetworkInterface["addresses"] {
  return Array.from(linked(addressIn(adapter, ADAPTER.unicast), UNICAST.size, UNICAST.next), (unicast) => {
    const found = ipAddress(bytesAt(addressIn(unicast, UNICAST.sockaddr), SOCKADDR.size));
    return found && { family: found.family, address: found.address, prefix: unicast.readUInt8(UNICAST.prefix) };
  }).filter((address) => address !== undefined);
}

function interfaceOf(adapter: Buffer): NetworkInterface {
  const length = adapter.readUInt32LE(ADAPTER.physicalLength);
  const mac = Array.from(adapter.subarray(ADAPTER.physical, ADAPTER.physical + Math.min(length, 6)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join(":");
  const counters = countersOf(adapter.readBigUInt64LE(ADAPTER.luid), adapter.readUInt32LE(ADAPTER.index));
  return {
    name: wideAt(addressIn(adapter, ADAPTER.friendlyName) as Pointer),
    ...(length === 0 ? {} : { mac }),
    flags: [
      ...(adapter.readUInt32LE(ADAPTER.operStatus) === IF_OPER_STATUS_UP ? ["UP"] : []),
      ...(adapter.readUInt32LE(ADAPTER.type) === IF_TYPE_SOFTWARE_LOOPBACK ? ["LOOPBACK"] : []),
    ],
    addresses: addressesOf(adapter),
    ...(counters === undefined ? {} : { counters }),
  };
}

/** Calls `use` for each adapter while the list is there. @throws SystemError */
function mapAdapters<T>(use: (adapter: Buffer) => T): T[] {
  const list = adapterList();
  if (list.byteLength === 0) return [];
  const found = [use(list)];
  for (const adapter of linked(addressIn(list, ADAPTER.next), ADAPTER.size, ADAPTER.next)) found.push(use(adapter));
  // The addresses pointed into the list.
  keepUntilHere(list);
  return found;
}

const interfaces = (): NetworkInterface[] => mapAdapters(interfaceOf);

/** The mask of so many bits: `255.255.255.0`. */
function maskOf(bits: number): string {
  const mask = bits === 0 ? 0 : (-1 << (32 - bits)) >>> 0;
  return [24, 16, 8, 0].map((shift) => (mask >>> shift) & 0xff).join(".");
}

function routeOf(row: Buffer, names: ReadonlyMap<number, string>): Route | undefined {
  const destination = ipAddress(row.subarray(FORWARD_ROW.destination, FORWARD_ROW.destination + SOCKADDR.size));
  const nextHop = ipAddress(row.subarray(FORWARD_ROW.nextHop, FORWARD_ROW.nextHop + SOCKADDR.size));
  if (destination === undefined || nextHop === undefined) return undefined;
  const prefix = row.readUInt8(FORWARD_ROW.prefix);
  const common = {
    iface: names.get(row.readUInt32LE(FORWARD_ROW.index)) ?? "*",
    destination: destination.address,
    metric: row.readUInt32LE(FORWARD_ROW.metric),
    flags: RTF_UP | (nextHop.isZero ? 0 : RTF_GATEWAY) | (prefix === destination.bits ? RTF_HOST : 0),
    refcnt: 0,
    use: 0,
  };
  return destination.family === 4
    ? { version: 4, ...common, gateway: nextHop.address, mask: maskOf(prefix) }
    : { version: 6, ...common, destinationPrefix: prefix, nextHop: nextHop.address };
}

function routes(): Route[] {
  const names = new Map(
    mapAdapters((adapter) => [
      adapter.readUInt32LE(ADAPTER.index),
      wideAt(addressIn(adapter, ADAPTER.friendlyName) as Pointer),
    ]),
  );
  const out = new BigUint64Array(1);
  const code = iphlpapi().GetIpForwardTable2(AF_UNSPEC, out);
  if (code !== ERROR.SUCCESS) throw systemError("GetIpForwardTable2", code);
  const table = Number(out[0]);
  try {
    const count = bytesAt(table, 4).readUInt32LE(0);
    if (count === 0) return [];
    const rows = bytesAt(table, FORWARD_TABLE_HEADER + count * FORWARD_ROW.size);
    return Array.from({ length: count }, (_, index) => {
      const at = FORWARD_TABLE_HEADER + index * FORWARD_ROW.size;
      return routeOf(rows.subarray(at, at + FORWARD_ROW.size), names);
    }).filter((route) => route !== undefined);
  } finally {
    iphlpapi().FreeMibTable(table as Pointer);
  }
}

export const network: Network = { interfaces, routes };
