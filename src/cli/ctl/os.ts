/** `inguest ctl os`: which system it is. */
import type { Json } from "../../framing/json.ts";
import { type Facts, gather, known } from "./facts.ts";
import { numberOf, textOf } from "./reply.ts";
import { EXIT, show, type Verb } from "./verb.ts";

export const OS_COMMANDS = {
  os: "guest-get-osinfo",
  hostname: "guest-get-host-name",
  timezone: "guest-get-timezone",
} as const;

/** `UTC+05:30` of seconds east of it. */
export function offsetText(seconds: number): string {
  const minutes = Math.round(Math.abs(seconds) / 60);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `UTC${seconds < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

function zoneText(timezone: Json | undefined): string | undefined {
  const offset = numberOf(timezone, "offset");
  if (offset === undefined) return undefined;
  const zone = textOf(timezone, "zone");
  return zone === undefined ? offsetText(offset) : `${zone} (${offsetText(offset)})`;
}

export const osView = ({ os, hostname, timezone }: Facts): Facts =>
  known({
    "host name": textOf(hostname, "host-name"),
    system: textOf(os, "pretty-name") ?? textOf(os, "name"),
    kernel: textOf(os, "kernel-release"),
    machine: textOf(os, "machine"),
    "time zone": zoneText(timezone),
  });

export const os = {
  name: "os",
  summary: "tell the operating system, host name and time zone",
  operands: "",
  count: [0, 0],
  async run(context) {
    const facts = await gather(context.client, OS_COMMANDS);
    show(context, facts, osView(facts));
    return EXIT.success;
  },
} as const satisfies Verb;
