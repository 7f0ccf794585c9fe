/** `inguest ctl cpus`: processors and what they do. */
import type { Json } from "../../framing/json.ts";
import { factOf, gather, known } from "./facts.ts";
import { isTrue, itemsOf, numberOf } from "./reply.ts";
import { percentText } from "./units.ts";
import { EXIT, show, type Verb } from "./verb.ts";

const COMMANDS = { vcpus: "guest-get-vcpus", statistics: "guest-get-cpustats", load: "guest-get-load" } as const;
/** Between two looks at the counters. */
const INTERVAL_MS = 500;

interface Share {
  readonly user: string;
  readonly system: string;
  readonly idle: string;
}

/** What a processor did between two looks at it, in parts of a hundred. */
function shareOf(before: Json | undefined, after: Json | undefined): Share | undefined {
  const spent = (name: string): number => (numberOf(after, name) ?? 0) - (numberOf(before, name) ?? 0);
  const [user, system, idle] = [spent("user") + spent("nice"), spent("system"), spent("idle")];
  const rest = ["iowait", "irq", "softirq", "steal"].reduce((sum, name) => sum + spent(name), 0);
  const all = user + system + idle + rest;
  if (before === undefined || after === undefined || all <= 0) return undefined;
  return { user: percentText(user, all), system: percentText(system, all), idle: percentText(idle, all) };
}

const processor = (list: Json | undefined, id: number | undefined): Json | undefined =>
  itemsOf(list).find((item) => numberOf(item, "cpu") === id);

export const cpus = {
  name: "cpus",
  summary: "list processors, whether they are online, and how busy they are",
  operands: "",
  count: [0, 0],
  async run(context) {
    const facts = await gather(context.client, COMMANDS);
    if (context.json) {
      show(context, facts);
      return EXIT.success;
    }
    if (facts.statistics !== undefined) await Bun.sleep(INTERVAL_MS);
    const later = facts.statistics && (await factOf(context.client, COMMANDS.statistics));
    const byId = (a: Json, b: Json): number => (numberOf(a, "logical-id") ?? 0) - (numberOf(b, "logical-id") ?? 0);
    const sorted = itemsOf(facts.vcpus).toSorted(byId);
    const rows = sorted.map((vcpu) => {
      const id = numberOf(vcpu, "logical-id");
      return known({
        cpu: id ?? null,
        online: isTrue(vcpu, "online") ? "yes" : "no",
        "can go offline": isTrue(vcpu, "can-offline") ? "yes" : "no",
        ...shareOf(processor(facts.statistics, id), processor(later, id)),
      });
    });
    const load = ["load1m", "load5m", "load15m"].map((name) => numberOf(facts.load, name)?.toFixed(2));
    show(context, facts, rows);
    if (facts.load !== undefined) context.note(`load of 1, 5 and 15 minutes: ${load.join(", ")}`);
    return EXIT.success;
  },
} as const satisfies Verb;
