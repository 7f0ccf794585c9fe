/** Processors. */
import { setVcpus } from "../../../capability/vcpus.ts";
import { command } from "../command.ts";
import { quotingCalls } from "../errors.ts";
import { boolean, int64, list, optional, struct } from "../wire.ts";

const logicalProcessor = struct({ "logical-id": int64, online: boolean, "can-offline": optional(boolean) });

export const getVcpus = command({
  name: "guest-get-vcpus",
  since: "1.5",
  summary: "Lists the logical processors, whether they are online and whether they can go offline.",
  arguments: {},
  returns: list(logicalProcessor),
  supported: ({ vcpus }) => vcpus !== undefined,
  run: (_, { guest }) =>
    guest.vcpus!.list().map(({ id, online, canOffline }) => ({ online, "can-offline": canOffline, "logical-id": id })),
});

export const setVcpusCommand = command({
  name: "guest-set-vcpus",
  since: "1.5",
  summary:
    "Switches processors on or off in the order given, until one fails; returns how many it did. " +
    "It is an error only when the first one fails.",
  arguments: { vcpus: list(logicalProcessor) },
  returns: int64,
  supported: ({ vcpus }) => vcpus?.set !== undefined,
  run: ({ vcpus }, { guest }) => {
    const wanted = vcpus.map(({ "logical-id": id, online }) => ({ id, online }));
    return quotingCalls(() => setVcpus(guest.vcpus!.set!, wanted));
  },
});
