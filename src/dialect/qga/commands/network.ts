/** Network interfaces and routes. */
import type { InterfaceCounters, NetworkInterface } from "../../../guest.ts";
import { command } from "../command.ts";
import { quotingCalls } from "../errors.ts";
import { enumeration, int64, list, optional, string, struct, uint64 } from "../wire.ts";

const NO_HARDWARE_ADDRESS = "00:00:00:00:00:00";

const addressEntry = ({ family, address, prefix }: NetworkInterface["addresses"][number]) => ({
  "ip-address-type": family === 4 ? ("ipv4" as const) : ("ipv6" as const),
  "ip-address": address,
  prefix,
});

const statisticsEntry = (counters: InterfaceCounters) => ({
  "tx-packets": counters.txPackets,
  "tx-errs": counters.txErrors,
  "rx-bytes": counters.rxBytes,
  "rx-dropped": counters.rxDropped,
  "rx-packets": counters.rxPackets,
  "rx-errs": counters.rxErrors,
  "tx-bytes": counters.txBytes,
  "tx-dropped": counters.txDropped,
});

export const networkGetInterfaces = command({
  name: "guest-network-get-interfaces",
  since: "1.1",
  summary: "Lists the network interfaces with their hardware and IP addresses, prefix lengths and counters.",
  arguments: {},
  returns: list(
    struct({
      name: string,
      "hardware-address": optional(string),
      "ip-addresses": optional(
        list(struct({ "ip-address": string, "ip-address-type": enumeration(["ipv4", "ipv6"]), prefix: int64 })),
      ),
      statistics: optional(
        struct({
          "rx-bytes": uint64,
          "rx-packets": uint64,
          "rx-errs": uint64,
          "rx-dropped": uint64,
          "tx-bytes": uint64,
          "tx-packets": uint64,
          "tx-errs": uint64,
          "tx-dropped": uint64,
        }),
      ),
    }),
  ),
  run: (_, { guest }) => {
    // Hosts know qemu-ga's ways: on Linux each interface has six bytes, and counters only along with an address.
    const onLinux = guest.os === "linux";
    return guest.network.interfaces().map(({ name, mac, addresses, counters }) => ({
      name,
      "ip-addresses": addresses.length === 0 ? undefined : addresses.map(addressEntry),
      statistics: onLinux && addresses.length === 0 ? undefined : counters && statisticsEntry(counters),
      "hardware-address": mac ?? (onLinux ? NO_HARDWARE_ADDRESS : undefined),
    }));
  },
});

/** qemu-ga takes these 32 bits for signed, so that hosts see 0xffffffff as -1, ... */
const signed = (value: number): number => value | 0;

/** ... and the flags of routes to the guest itself, whose highest bit is set, with 32 more ones in front. */
const widened = (flags: number): number | bigint =>
  flags < 2 ** 31 ? flags : BigInt.asUintN(64, BigInt(signed(flags)));

const decimal = (prefix: number | undefined): string | undefined => prefix?.toString();

export const networkGetRoute = command({
  name: "guest-network-get-route",
  since: "9.1",
  summary: "Lists the routes of IP version 4 and 6.",
  arguments: {},
  returns: list(
    struct({
      iface: string,
      destination: string,
      metric: int64,
      gateway: optional(string),
      mask: optional(string),
      irtt: optional(int64),
      flags: optional(uint64),
      refcnt: optional(int64),
      use: optional(int64),
      window: optional(int64),
      mtu: optional(int64),
      desprefixlen: optional(string),
      source: optional(string),
      srcprefixlen: optional(string),
      nexthop: optional(string),
      version: int64,
    }),
  ),
  supported: ({ network }) => network.routes !== undefined,
  run: (_, { guest }) =>
    quotingCalls(() => guest.network.routes!()).map((route) => ({
      flags: widened(route.flags),
      source: route.source,
      metric: signed(route.metric),
      refcnt: signed(route.refcnt),
      window: route.window,
      version: route.version,
      nexthop: route.nextHop,
      iface: route.iface,
      destination: route.destination,
      desprefixlen: decimal(route.destinationPrefix),
      srcprefixlen: decimal(route.sourcePrefix),
      irtt: route.irtt,
      gateway: route.gateway,
      use: signed(route.use),
      mtu: route.mtu,
      mask: route.mask,
    })),
});
