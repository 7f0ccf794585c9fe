/** `inguest ctl ip`: network interfaces and their addresses. */
import type { Json } from "../../framing/json.ts";
import { itemsOf, memberOf, numberOf, textOf } from "./reply.ts";
import { bytesText } from "./units.ts";
import { EXIT, show, type Verb } from "./verb.ts";

/** Nothing is to be seen there: an empty text would be. */
const BLANK = " ";

/** `10.0.2.15/24` for each address. */
export const addressesOf = (iface: Json): string[] =>
  itemsOf(memberOf(iface, "ip-addresses")).map(
    (address) => `${textOf(address, "ip-address") ?? "?"}/${numberOf(address, "prefix") ?? "?"}`,
  );

/** A row for the first address, and one for each of the others. */
function rowsOf(iface: Json): Json[] {
  const counters = memberOf(iface, "statistics");
  const amount = (name: string): string | null => {
    const bytes = numberOf(counters, name);
    return bytes === undefined ? null : bytesText(bytes);
  };
  const [first = null, ...others] = addressesOf(iface);
  const row = {
    interface: textOf(iface, "name") ?? "?",
    address: first,
    mac: textOf(iface, "hardware-address") ?? null,
    received: amount("rx-bytes"),
    sent: amount("tx-bytes"),
  };
  return [row, ...others.map((address) => ({ interface: BLANK, address, mac: BLANK, received: BLANK, sent: BLANK }))];
}

export const ip = {
  name: "ip",
  summary: "list network interfaces with their addresses",
  operands: "",
  count: [0, 0],
  async run(context) {
    const interfaces = await context.client.call("guest-network-get-interfaces", {});
    show(context, interfaces, itemsOf(interfaces).flatMap(rowsOf));
    return EXIT.success;
  },
} as const satisfies Verb;
