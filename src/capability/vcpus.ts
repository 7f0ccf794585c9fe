/** Switching processors on and off. */
import { RequestError } from "../errors.ts";
import type { Vcpus } from "../guest.ts";

type SetVcpu = NonNullable<Vcpus["set"]>;

/** A processor and the state it shall have. */
export interface WantedVcpu {
  readonly id: number | bigint;
  readonly online: boolean;
}

/**
 * Switches one processor after the other, up to the first that fails.
 * @returns how many were switched or were so already
 * @throws RequestError, SystemError when the first failed
 */
export function setVcpus(set: SetVcpu, wanted: readonly WantedVcpu[]): number {
  let done = 0;
  for (const { id, online } of wanted) {
    try {
      if (!set(id, online)) throw new RequestError(`logical processor #${id} can't be offlined`);
    } catch (error) {
      if (done > 0) return done;
      throw error;
    }
    done++;
  }
  return done;
}
