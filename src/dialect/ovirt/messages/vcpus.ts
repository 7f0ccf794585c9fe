/** Processors. */
import { integer, message } from "../message.ts";

/** What the host is told where they cannot be counted. */
const UNKNOWN = -1;

export const numberOfCpus = message({
  name: "number-of-cpus",
  version: 1,
  summary: "How many processors are online; -1 when that is not known.",
  content: { count: integer },
  rate: "report_num_cpu_rate",
  make: ({ guest }) => ({ count: guest.vcpus?.list().filter(({ online }) => online).length ?? UNKNOWN }),
});
