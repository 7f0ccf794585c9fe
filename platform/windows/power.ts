/** Shutting down and sleeping. */
import { AttemptsError, type Power } from "../../src/guest.ts";
import { advapi32 } from "./advapi32.ts";
import { check, errorText, lastError } from "./errors.ts";
import { powrprof } from "./powrprof.ts";
import { acquirePrivilege } from "./security.ts";
import { user32 } from "./user32.ts";
import { wide } from "./wide.ts";

/** EWX_POWEROFF, EWX_REBOOT, EWX_SHUTDOWN, each with EWX_FORCE (ExitWindowsEx). */
const EXIT_FLAGS = { powerdown: 0x8 | 0x4, reboot: 0x2 | 0x4, halt: 0x1 | 0x4 } as const;
const SHTDN_REASON_FLAG_PLANNED = 0x80000000;
const SECONDS = 60;

async function shutdown(mode: "powerdown" | "reboot" | "halt", message: string, minutes: number): Promise<void> {
  acquirePrivilege("SeShutdownPrivilege");
  if (minutes === 0) {
    check(user32().ExitWindowsEx(EXIT_FLAGS[mode], SHTDN_REASON_FLAG_PLANNED), "ExitWindowsEx");
    return;
  }
  check(
    advapi32.InitiateSystemShutdownExW(
      null,
      wide(message),
      minutes * SECONDS,
      1,
      Number(mode === "reboot"),
      SHTDN_REASON_FLAG_PLANNED,
    ),
    "InitiateSystemShutdownExW",
  );
}

/** SYSTEM_POWER_CAPABILITIES (winnt.h): one byte each. */
const CAPABILITIES = { size: 76, ram: 5, disk: 6 } as const;

/** Which ways of sleeping there are; undefined when Windows does not tell. */
export function sleepStates(): { readonly ram: boolean; readonly disk: boolean } | undefined {
  const capabilities = Buffer.alloc(CAPABILITIES.size);
  if (powrprof().GetPwrCapabilities(capabilities) === 0) return undefined;
  return { ram: capabilities[CAPABILITIES.ram] !== 0, disk: capabilities[CAPABILITIES.disk] !== 0 };
}

/** Comes back when the guest is awake again. */
async function suspend(mode: "disk" | "ram" | "hybrid"): Promise<void> {
  if (mode === "hybrid") throw new AttemptsError([]);
  const states = sleepStates();
  if (states === undefined) throw new AttemptsError(["failed to determine guest suspend capabilities"]);
  if (!states[mode]) throw new AttemptsError([`suspend-to-${mode} not supported by OS`]);
  acquirePrivilege("SeShutdownPrivilege");
  if (powrprof().SetSuspendState(Number(mode === "disk"), 1, 1) === 0) {
    throw new AttemptsError([`failed to suspend guest: ${errorText(lastError())}`]);
  }
}

export const power: Power = { shutdown, suspend };
