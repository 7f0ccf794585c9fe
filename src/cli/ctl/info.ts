/** `inguest ctl info`: the guest at a glance. */
import type { Json } from "../../framing/json.ts";
import { type Facts, gather, known } from "./facts.ts";
import { addressesOf } from "./ip.ts";
import { OS_COMMANDS, osView } from "./os.ts";
import { isTrue, itemsOf, memberOf, numberOf, textOf } from "./reply.ts";
import { EXIT, show, type Verb } from "./verb.ts";

const COMMANDS = {
  agent: "guest-info",
  ...OS_COMMANDS,
  time: "guest-get-time",
  users: "guest-get-users",
  vcpus: "guest-get-vcpus",
  load: "guest-get-load",
  interfaces: "guest-network-get-interfaces",
  filesystems: "guest-get-fsinfo",
  freeze: "guest-fsfreeze-status",
} as const;

const NANOSECONDS = 1_000_000;
/** Less than this is the time that the question took. */
const UNREMARKABLE_SECONDS = 1;

function timeText(time: Json | undefined): string | undefined {
  if (typeof time !== "number" && typeof time !== "bigint") return undefined;
  const milliseconds = Number(BigInt(time) / BigInt(NANOSECONDS));
  const date = new Date(milliseconds);
  if (Number.isNaN(date.getTime())) return undefined;
  const ahead = (milliseconds - Date.now()) / 1000;
  const note =
    Math.abs(ahead) < UNREMARKABLE_SECONDS
      ? ""
      : `, ${Math.abs(ahead).toFixed(0)} s ${ahead > 0 ? "ahead of" : "behind"} this host`;
  return `${date.toISOString().slice(0, 19).replace("T", " ")} UTC${note}`;
}

function agentText(agent: Json | undefined): string | undefined {
  const version = textOf(agent, "version");
  const commands = itemsOf(memberOf(agent, "supported_commands"));
  const enabled = commands.filter((command) => isTrue(command, "enabled")).length;
  return version === undefined ? undefined : `${version}, ${enabled} of ${commands.length} commands enabled`;
}

/** Addresses at which it may be reached. */
function addressText(interfaces: Json | undefined): string | undefined {
  const outward = itemsOf(interfaces)
    .filter((iface) => textOf(iface, "name") !== "lo")
    .flatMap(addressesOf)
    .filter((address) => !/^(fe80:|127\.|::1\/)/i.test(address));
  return interfaces === undefined ? undefined : outward.join(", ") || "none";
}

function loadText(load: Json | undefined): string | undefined {
  if (load === undefined) return undefined;
  return ["load1m", "load5m", "load15m"].map((name) => numberOf(load, name)?.toFixed(2) ?? "?").join(", ");
}

function processorsText(vcpus: Json | undefined): string | undefined {
  const all = itemsOf(vcpus);
  if (vcpus === undefined) return undefined;
  return `${all.filter((vcpu) => isTrue(vcpu, "online")).length} of ${all.length} online`;
}

function namesOf(list: Json | undefined, name: string): string | undefined {
  if (list === undefined) return undefined;
  return [...new Set(itemsOf(list).map((item) => textOf(item, name) ?? "?"))].join(", ") || "none";
}

const view = (facts: Facts): Json =>
  known({
    ...osView(facts),
    agent: agentText(facts.agent),
    clock: timeText(facts.time),
    processors: processorsText(facts.vcpus),
    load: loadText(facts.load),
    addresses: addressText(facts.interfaces),
    filesystems: namesOf(facts.filesystems, "mountpoint"),
    "logged in": namesOf(facts.users, "user"),
    freeze: facts.freeze,
  });

export const info = {
  name: "info",
  summary: "show the guest at a glance",
  operands: "",
  count: [0, 0],
  async run(context) {
    const facts = await gather(context.client, COMMANDS);
    show(context, facts, view(facts));
    return EXIT.success;
  },
} as const satisfies Verb;
