/** `inguest ctl ip`: network interfaces and their addresses. */
import type { Json } from "../../framing/json.ts";
import { itemsOf, memberOf, numberOf, textOf } from "./reply.ts";
import { bytesText } from "./units.ts";
import { EXIT, show, type Verb } from "./verb.ts";

/** `10.0.2.15/24` for each address. */
export const addressesOf = (iface: Json): string[] =>
  itemsOf(memberOf(iface, "ip-addresses")).map(
    (address) => `${textOf(address, "ip-address") ?? "?"}/${numberOf(address, "prefix") ?? "?"}`,
  );

function rowOf(iface: Json): Json {
  const counters = memberOf(iface, "statistics");
  const amount = (name: string): string | null => {
    const bytes = numberOf(counters, name);
    return bytes === undefined ? null : bytesText(bytes);
  };
  return {
    interface: textOf(iface, "name") ?? "?",
    mac: textOf(iface, "hardware-address") ?? null,
    addresses: addressesOf(iface),
    received: amount("rx-bytes"),
    sent: amount("tx-bytes"),
  };
}

export const ip = {
  name: "ip",
  summary: "list network interfaces with their addresses",
  operands: "",
  count: [0, 0],
  async run(context) {
    const interfaces = await context.client.call("guest-network-get-interfaces", {});
    show(context, interfaces, itemsOf(interfaces).map(rowOf));
    return EXIT.success;
  },
} as const satisfies Verb;
