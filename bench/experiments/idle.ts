/** How often a process that has nothing to do wakes up. */
import { AGENTS, type Experiment, value } from "../experiment.ts";
import { switchesOf } from "../process-facts.ts";

export const IDLE_SECONDS = 60;
const QUIET_MS = 5000;
const PATIENCE_MS = 40_000;

/** Waits until there was no wakeup for some seconds, or has been waiting for long. */
async function quietened(switches: () => Promise<number>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (let last = -1, now = await switches(); now !== last && performance.now() < deadline; ) {
    last = now;
    await Bun.sleep(QUIET_MS);
    now = await switches();
  }
}

/** @param switches so many there were until now */
export async function wakeupsIn(seconds: number, switches: () => Promise<number>): Promise<number> {
  await quietened(switches);
  const before = await switches();
  await Bun.sleep(seconds * 1000);
  return (await switches()) - before;
}

export const IDLE: readonly Experiment[] = [
  {
    figures: {
      attached: { name: "wakeups in 60 s, host attached", unit: "", better: "lower", target: value(0) },
      alone: { name: "wakeups in 60 s, no host", unit: "", better: "lower", target: value(0) },
    },
    subjects: AGENTS,
    rounds: 1,
    slow: true,
    async sample(subject, lab) {
      const servers = [await lab.start(subject), await lab.start(subject)] as const;
      const [withHost, without] = servers;
      without.client.close();
      const [attached, alone] = await Promise.all(
        [withHost, without].map(({ pid }) => wakeupsIn(IDLE_SECONDS, async () => switchesOf(pid))),
      );
      for (const server of servers) await server.stop();
      return { attached: attached ?? Number.NaN, alone: alone ?? Number.NaN };
    },
  },
];
