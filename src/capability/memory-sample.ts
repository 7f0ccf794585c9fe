/** Memory as the oVirt agent counts it: sizes now, and events a second since it was last asked. */
import type { Guest, MemoryFacts } from "../guest.ts";

/** KiB, and whole events a second. */
export interface MemorySample {
  readonly mem_total: number;
  /** What could be had at once: unused memory, buffers and the page cache. */
  readonly mem_free: number;
  readonly mem_unused: number;
  readonly mem_buffers: number;
  readonly mem_cached: number;
  readonly swap_total: number;
  readonly swap_usage: number;
  readonly swap_in: number;
  readonly swap_out: number;
  readonly pageflt: number;
  readonly majflt: number;
}

const NANOSECONDS = 1e9;

const freeKibibytes = ({ free, buffers, cached }: MemoryFacts): number => free + buffers + cached;

/** MiB that could be had at once. */
export const availableMebibytes = ({ statistics }: Guest): number =>
  Math.floor(freeKibibytes(statistics.memory()) / 1024);

/** Takes samples; the first one has no events. */
export function createMemorySampler({ statistics, clock }: Guest): () => MemorySample {
  let before: { readonly facts: MemoryFacts; readonly time: number } | undefined;
  return () => {
    const facts = statistics.memory();
    const time = Number(clock.now()) / NANOSECONDS;
    const last = before ?? { facts, time };
    before = { facts, time };
    // A clock that was set back gives no rates until the next sample.
    const seconds = Math.max(time - last.time, 0);
    const rate = (now: number, then: number): number =>
      seconds === 0 ? 0 : Math.max(0, Math.floor((now - then) / seconds));
    return {
      mem_total: facts.total,
      mem_free: freeKibibytes(facts),
      mem_unused: facts.free,
      mem_buffers: facts.buffers,
      mem_cached: facts.cached,
      swap_total: facts.swapTotal,
      swap_usage: facts.swapTotal - facts.swapFree,
      swap_in: rate(facts.swapIn, last.facts.swapIn),
      swap_out: rate(facts.swapOut, last.facts.swapOut),
      pageflt: rate(facts.pageFaults, last.facts.pageFaults),
      majflt: rate(facts.majorFaults, last.facts.majorFaults),
    };
  };
}
