/** The guest's clock. */
import { SystemError } from "../../../guest.ts";
import { command } from "../command.ts";
import { QgaError, quotingProgram } from "../errors.ts";
import { int64, optional, struct } from "../wire.ts";

export const getTime = command({
  name: "guest-get-time",
  since: "1.5",
  summary: "Returns the nanoseconds since 1970-01-01 UTC.",
  arguments: {},
  returns: int64,
  run: (_, { guest }) => guest.clock.now(),
});

/** 2070-01-01: what lies beyond is taken for a mistake. */
const END_OF_TIME = 3_155_760_000_000_000_000n;

export const setTime = command({
  name: "guest-set-time",
  since: "1.5",
  summary:
    "Sets the system clock to nanoseconds since 1970-01-01 UTC, then the hardware clock; without a time, sets the " +
    "system clock from the hardware clock.",
  arguments: { time: optional(int64) },
  returns: struct({}),
  run: async ({ time }, { guest: { clock } }) => {
    if (time !== undefined) {
      const nanoseconds = BigInt(time);
      if (nanoseconds < 0n || nanoseconds >= END_OF_TIME) throw new QgaError("Invalid time");
      try {
        clock.set(nanoseconds);
      } catch (error) {
        if (error instanceof SystemError) throw new QgaError(`Failed to set time to guest: ${error.reason}`);
        throw error;
      }
    }
    await quotingProgram("set hardware clock to system time", clock.syncHardware(time === undefined ? "load" : "save"));
    return {};
  },
});
