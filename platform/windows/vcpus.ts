/** Processors: Windows shows them, and switches none off. */
import type { Vcpus } from "../../src/guest.ts";
import { check } from "./errors.ts";
import { kernel32 } from "./kernel32.ts";

const ALL_PROCESSOR_GROUPS = 0xffff;

export const vcpus: Vcpus = {
  list() {
    const count = check(kernel32.GetActiveProcessorCount(ALL_PROCESSOR_GROUPS), "GetActiveProcessorCount");
    return Array.from({ length: count }, (_, id) => ({ id, online: true, canOffline: false }));
  },
};
