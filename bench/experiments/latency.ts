/** How long one answer takes, and how many come in a second. */
import { guest } from "../../platform/linux/guest.ts";
import { supportedCommands } from "../../src/dialect/qga/table.ts";
import { type Client, requestBytes } from "../client.ts";
import { AGENTS, type Experiment, type Figure, median, ratio, repeat } from "../experiment.ts";
import type { SubjectName } from "../lab.ts";

/** Microseconds. */
const p50 = (budget: number, action: () => void): number => median(repeat(budget, action)) * 1000;

const latency = (
  figure: Pick<Figure, "name" | "target">,
  action: (client: Client) => () => void,
  reference: SubjectName = "qemu-ga",
): Experiment => ({
  figures: { p50: { unit: "µs", better: "lower", ...figure } },
  subjects: [reference, "inguest"],
  async sample(subject, lab) {
    const { client } = await lab.server(subject);
    return { p50: p50(lab.budget, action(client)) };
  },
});

const PING = requestBytes("guest-ping");
const PONG_BYTES = '{"return": {}}\n'.length;
const BATCH = 20_000;
const PINGS = Buffer.concat(Array.from({ length: BATCH }, () => PING));

/** @returns requests per second */
export function pipelined(client: Client, budget: number): number {
  const taken = repeat(budget, () => client.pipeline(PINGS, BATCH * PONG_BYTES));
  return BATCH / (median(taken) / 1000);
}

export const pingLatency = (client: Client, budget: number): number => p50(budget, () => client.ask(PING));

/** What `qemu-ga` has only since series 10. */
const SINCE_10 = new Set(["guest-network-get-route", "guest-get-load"]);

const command = (name: string): Experiment => {
  const request = requestBytes(name);
  const reference = SINCE_10.has(name) ? "qemu-ga 10" : "qemu-ga";
  return latency({ name, target: ratio(1) }, (client) => () => client.ask(request), reference);
};

export const LATENCY: readonly Experiment[] = [
  latency({ name: "guest-ping", target: ratio(0.75) }, (client) => () => client.ask(PING)),
  latency({ name: "guest-sync-delimited, to the complete answer", target: ratio(0.8) }, (client) => {
    const request = Buffer.concat([Buffer.of(0xff), requestBytes("guest-sync-delimited", { id: 12_345 })]);
    return () => client.askDelimited(request);
  }),
  {
    figures: { rate: { name: "pipelined pings", unit: "1/s", better: "higher", target: ratio(50) } },
    subjects: AGENTS,
    async sample(subject, lab) {
      const { client } = await lab.server(subject);
      return { rate: pipelined(client, lab.budget) };
    },
  },
  latency({ name: "guest-exec of true, until exited", target: ratio(0.65) }, (client) => () => {
    const { pid } = client.call<{ pid: number }>("guest-exec", { path: "/bin/true" });
    const status = (): boolean => client.call<{ exited: boolean }>("guest-exec-status", { pid }).exited;
    while (!status());
  }),
  ...supportedCommands(guest)
    .map(({ name }) => name)
    .filter((name) => /^guest-(?:get|network)-/.test(name))
    .sort()
    .map(command),
];
