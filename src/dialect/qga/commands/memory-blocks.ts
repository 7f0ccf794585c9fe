/** Memory blocks: the pieces in which memory goes online and offline. */
import { command } from "../command.ts";
import { quotingCalls } from "../errors.ts";
import { boolean, enumeration, int64, list, optional, struct, uint64 } from "../wire.ts";

const OUTCOMES = ["success", "not-found", "operation-not-supported", "operation-failed"] as const;

const memoryBlock = struct({ "phys-index": uint64, online: boolean, "can-offline": optional(boolean) });

export const getMemoryBlocks = command({
  name: "guest-get-memory-blocks",
  since: "2.3",
  summary: "Lists the memory blocks, whether they are online and whether they can go offline.",
  arguments: {},
  returns: list(memoryBlock),
  supported: ({ memoryBlocks }) => memoryBlocks !== undefined,
  run: (_, { guest }) =>
    guest.memoryBlocks!.list().map(({ index, online, canOffline }) => ({
      online,
      "can-offline": canOffline,
      "phys-index": index,
    })),
});

export const setMemoryBlocks = command({
  name: "guest-set-memory-blocks",
  since: "2.3",
  summary: "Switches memory blocks on or off; returns for each how it went, with the error number when it failed.",
  arguments: { "mem-blks": list(memoryBlock) },
  returns: list(struct({ "phys-index": uint64, response: enumeration(OUTCOMES), "error-code": optional(int64) })),
  supported: ({ memoryBlocks }) => memoryBlocks !== undefined,
  run: ({ "mem-blks": blocks }, { guest }) =>
    blocks.map(({ "phys-index": index, online }) => {
      const { outcome, errno } = guest.memoryBlocks!.set(index, online);
      return { response: outcome, "error-code": errno, "phys-index": index };
    }),
});

export const getMemoryBlockInfo = command({
  name: "guest-get-memory-block-info",
  since: "2.3",
  summary: "Returns the size of a memory block in bytes.",
  arguments: {},
  returns: struct({ size: uint64 }),
  supported: ({ memoryBlocks }) => memoryBlocks !== undefined,
  run: (_, { guest }) => ({ size: quotingCalls(() => guest.memoryBlocks!.blockSize()) }),
});
