/** Everything that is measured, in the order of the table. */
import type { Experiment } from "./experiment.ts";
import { GROWTH } from "./experiments/growth.ts";
import { IDLE } from "./experiments/idle.ts";
import { LATENCY } from "./experiments/latency.ts";
import { MEMORY } from "./experiments/memory.ts";
import { START } from "./experiments/start.ts";
import { TRANSFER } from "./experiments/transfer.ts";
import { VM } from "./experiments/vm.ts";

export const EXPERIMENTS: readonly Experiment[] = [
  ...LATENCY,
  ...TRANSFER,
  ...MEMORY,
  ...START,
  ...IDLE,
  ...GROWTH,
  ...VM,
];
