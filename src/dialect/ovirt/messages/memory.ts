/** The sign of life, and memory with it. */

import * as v from "valibot";
import { availableMebibytes } from "../../../capability/memory-sample.ts";
import { API_VERSION, integer, message, text } from "../message.ts";

const memoryStat = v.object({
  mem_total: integer,
  mem_free: integer,
  mem_unused: integer,
  mem_buffers: integer,
  mem_cached: integer,
  swap_total: integer,
  swap_usage: integer,
  swap_in: integer,
  swap_out: integer,
  pageflt: integer,
  majflt: integer,
});

export const heartbeat = message({
  name: "heartbeat",
  version: 0,
  summary:
    "The agent is alive. `free-ram` is MiB as text, sizes of `memory-stat` are KiB and its events are per second. " +
    "The first one says `apiVersion` 0, so that a host that remembers an earlier agent negotiates anew.",
  content: { "free-ram": text, "memory-stat": memoryStat, apiVersion: integer },
  rate: "heart_beat_rate",
  make: ({ guest, sampleMemory, introduced }) => ({
    "free-ram": String(availableMebibytes(guest)),
    "memory-stat": sampleMemory(),
    apiVersion: introduced ? API_VERSION : 0,
  }),
});

export const memoryStats = message({
  name: "memory-stats",
  version: 0,
  summary: "The memory statistics alone; hosts take them from the heartbeat, so nothing sends it by itself.",
  content: { memory: memoryStat },
  make: ({ sampleMemory }) => ({ memory: sampleMemory() }),
});
