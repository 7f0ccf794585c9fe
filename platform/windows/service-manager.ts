/** The agent as a service: what `-s` does (winsvc.h). */

import { ptr } from "bun:ffi";
import { mkdirSync } from "node:fs";
import type { Services } from "../../src/guest.ts";
import { advapi32 } from "./advapi32.ts";
import { commandLine } from "./command-line.ts";
import { check } from "./errors.ts";
import type { Handle } from "./kernel32.ts";
import { EVENT_SOURCE } from "./logs.ts";
import { keepUntilHere } from "./memory.ts";
import { paths } from "./paths.ts";
import { removeRegistry, writeRegistry } from "./registry.ts";
import { closeToUsers } from "./security.ts";
import {
  FAILURE_ACTIONS,
  SC_ACTION_RESTART,
  SERVICE_CONFIG_FAILURE_ACTIONS,
  withManager,
  withService,
} from "./services.ts";
import { installProvider, uninstallProvider } from "./vss-provider.ts";
import { wide } from "./wide.ts";

export const SERVICE_NAME = "inguest";
const DISPLAY_NAME = "inguest guest agent";
const DESCRIPTION = "Answers the host of this virtual machine: shutdown, time, files, programs, consistent snapshots.";

const SC_MANAGER_ALL_ACCESS = 0xf003f;
const SERVICE_ALL_ACCESS = 0xf01ff;
const SERVICE_WIN32_OWN_PROCESS = 0x10;
const SERVICE_AUTO_START = 2;
const SERVICE_ERROR_NORMAL = 1;
const SERVICE_CONTROL_STOP = 1;
const SERVICE_CONFIG_DESCRIPTION = 1;
const SERVICE_CONFIG_FAILURE_ACTIONS_FLAG = 4;
const STATUS_SIZE = 28;

/** Milliseconds before the service is started again, after its first, second and later failures. */
const RESTART_DELAYS = [1000, 5000, 60_000];
/** Seconds without a failure after which they are counted from one again. */
const RESET_PERIOD = 24 * 60 * 60;

const EVENT_KEY = `SYSTEM\\CurrentControlSet\\Services\\EventLog\\Application\\${EVENT_SOURCE}`;
/** It comes with Windows, and its message 1 is the text of the event. */
const EVENT_MESSAGES = "%SystemRoot%\\System32\\EventCreate.exe";
const ALL_EVENT_TYPES = 7;

/** Restarts it when it fails, also when it says itself that it has failed. Not every Windows knows all of this. */
function configure(service: Handle): void {
  const description = wide(DESCRIPTION);
  advapi32.ChangeServiceConfig2W(service, SERVICE_CONFIG_DESCRIPTION, new BigUint64Array([BigInt(ptr(description))]));
  const restarts = new Uint32Array(RESTART_DELAYS.flatMap((delay) => [SC_ACTION_RESTART, delay]));
  const actions = Buffer.alloc(FAILURE_ACTIONS.size);
  actions.writeUInt32LE(RESET_PERIOD, FAILURE_ACTIONS.resetPeriod);
  actions.writeUInt32LE(RESTART_DELAYS.length, FAILURE_ACTIONS.count);
  actions.writeBigUInt64LE(BigInt(ptr(restarts)), FAILURE_ACTIONS.actions);
  advapi32.ChangeServiceConfig2W(service, SERVICE_CONFIG_FAILURE_ACTIONS, actions);
  advapi32.ChangeServiceConfig2W(service, SERVICE_CONFIG_FAILURE_ACTIONS_FLAG, new Uint32Array([1]));
  keepUntilHere(description, restarts);
}

function install(args: readonly string[]): string {
  const line = commandLine([process.execPath, "-d", ...args]);
  return withManager(SC_MANAGER_ALL_ACCESS, (manager) => {
    const service = check(
      advapi32.CreateServiceW(
        manager,
        wide(SERVICE_NAME),
        wide(DISPLAY_NAME),
        SERVICE_ALL_ACCESS,
        SERVICE_WIN32_OWN_PROCESS,
        SERVICE_AUTO_START,
        SERVICE_ERROR_NORMAL,
        wide(line),
        null,
        null,
        null,
        null,
        null,
      ),
      "CreateServiceW",
      SERVICE_NAME,
    );
    try {
      configure(service);
      mkdirSync(paths.statedir, { recursive: true });
      closeToUsers(paths.statedir);
      writeRegistry(EVENT_KEY, { EventMessageFile: EVENT_MESSAGES, TypesSupported: ALL_EVENT_TYPES });
      const provider = installProvider();
      return `Service ${SERVICE_NAME} was installed: ${line}${provider === "" ? "" : `\n${provider}`}`;
    } catch (error) {
      // Half of it would be in the way of another attempt.
      advapi32.DeleteService(service);
      throw error;
    } finally {
      advapi32.CloseServiceHandle(service);
    }
  });
}

function uninstall(): string {
  uninstallProvider();
  removeRegistry(EVENT_KEY);
  return withManager(SC_MANAGER_ALL_ACCESS, (manager) =>
    withService(manager, SERVICE_NAME, SERVICE_ALL_ACCESS, (service) => {
      // It need not run.
      advapi32.ControlService(service, SERVICE_CONTROL_STOP, Buffer.alloc(STATUS_SIZE));
      check(advapi32.DeleteService(service), "DeleteService", SERVICE_NAME);
      return `Service ${SERVICE_NAME} was removed.`;
    }),
  );
}

export const services: Services = {
  actions: {
    install,
    uninstall,
    "vss-install": () => installProvider() || "The VSS provider was registered.",
    "vss-uninstall": () => {
      uninstallProvider();
      return "The VSS provider was removed.";
    },
  },
};
