/** guest-shutdown and guest-suspend-*: they answer only when they fail. */
import { AttemptsError, type Guest, type Power } from "../../../guest.ts";
import { command } from "../command.ts";
import { QgaError, quotingProgram } from "../errors.ts";
import { optional, string, struct } from "../wire.ts";

const MODES = ["powerdown", "reboot", "halt"] as const;
const MESSAGE = "hypervisor initiated shutdown";

const supported = ({ power }: Guest): boolean => power !== undefined;

export const shutdown = command({
  name: "guest-shutdown",
  since: "0.15.0",
  summary: "Shuts the guest down; the mode is `powerdown` (when left out), `reboot` or `halt`.",
  arguments: { mode: optional(string) },
  returns: struct({}),
  successResponse: false,
  supported,
  async run({ mode = "powerdown" }, { guest, log }) {
    log.account(`guest-shutdown called, mode: ${mode}`);
    const known = MODES.find((name) => name === mode);
    if (known === undefined) throw new QgaError("mode is invalid (valid values are: halt|powerdown|reboot");
    await quotingProgram("shutdown", guest.power!.shutdown(known, MESSAGE, 0));
    return {};
  },
});

async function suspend(guest: Guest, mode: Parameters<Power["suspend"]>[0]): Promise<Record<string, never>> {
  try {
    await guest.power!.suspend(mode);
    return {};
  } catch (error) {
    if (!(error instanceof AttemptsError)) throw error;
    if (error.tried.length > 0) throw new QgaError(error.message);
    throw new QgaError("the requested suspend mode is not supported by the guest");
  }
}

export const suspendDisk = command({
  name: "guest-suspend-disk",
  since: "1.1",
  summary: "Suspends the guest to disk by systemd, pm-utils or the kernel itself.",
  arguments: {},
  returns: struct({}),
  successResponse: false,
  supported,
  run: (_, { guest }) => suspend(guest, "disk"),
});

export const suspendRam = command({
  name: "guest-suspend-ram",
  since: "1.1",
  summary: "Suspends the guest to RAM by systemd, pm-utils or the kernel itself.",
  arguments: {},
  returns: struct({}),
  successResponse: false,
  supported,
  run: (_, { guest }) => suspend(guest, "ram"),
});

export const suspendHybrid = command({
  name: "guest-suspend-hybrid",
  since: "1.1",
  summary: "Saves the guest to disk, then suspends it to RAM, by systemd or pm-utils.",
  arguments: {},
  returns: struct({}),
  successResponse: false,
  supported: ({ os, power }) => os === "linux" && power !== undefined,
  run: (_, { guest }) => suspend(guest, "hybrid"),
});
