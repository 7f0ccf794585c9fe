/** Services as the service control manager knows them (winsvc.h). */
import { SystemError } from "../../src/guest.ts";
import { advapi32, advapi32Questions } from "./advapi32.ts";
import { check, ERROR, errorName, errorText, lastError, systemError } from "./errors.ts";
import { type Handle, kernel32 } from "./kernel32.ts";
import { addressIn, bytesAt, keepUntilHere } from "./memory.ts";
import { shell32 } from "./shell32.ts";
import { wide, wideAt } from "./wide.ts";

const SC_MANAGER_CONNECT = 1;
const SERVICE_QUERY_CONFIG = 1;
const SERVICE_QUERY_STATUS = 4;
const SC_STATUS_PROCESS_INFO = 0;
export const SERVICE_CONFIG_FAILURE_ACTIONS = 2;
export const SC_ACTION_RESTART = 1;

/** SERVICE_STATUS_PROCESS. */
const STATUS = { size: 36, state: 4, exitCode: 12, processId: 28 } as const;
/** QUERY_SERVICE_CONFIGW: pointers into the bytes behind it. */
const CONFIG = { start: 4, program: 16 } as const;
/** SERVICE_FAILURE_ACTIONSW, and the SC_ACTIONs in it: type and delay. */
export const FAILURE_ACTIONS = { size: 40, resetPeriod: 0, count: 24, actions: 32 } as const;
const ACTION = { size: 8, type: 0 } as const;

const STATES: readonly string[] = ["", "stopped", "starting", "stopping", "running", "resuming", "pausing", "paused"];
const STARTS = ["boot", "system", "auto", "manual", "disabled"] as const;

export interface ServiceFacts {
  /** `running`, `stopped` … */
  readonly state: string;
  /** 0 when it does not run. */
  readonly processId: number;
  /** The system's text for the error with which it ended last; undefined when there was none. */
  readonly ending: string | undefined;
  readonly start: (typeof STARTS)[number] | "unknown";
  /** The program and its arguments. */
  readonly words: readonly string[];
  /** Whether it is started again when it fails; undefined where Windows does not tell. */
  readonly restarted: boolean | undefined;
}

/** @throws SystemError */
export function withManager<T>(access: number, use: (manager: Handle) => T): T {
  const manager = check(advapi32.OpenSCManagerW(null, null, access), "OpenSCManagerW");
  try {
    return use(manager);
  } finally {
    advapi32.CloseServiceHandle(manager);
  }
}

/** @throws SystemError: ERROR_SERVICE_DOES_NOT_EXIST when there is none of that name */
export function withService<T>(manager: Handle, name: string, access: number, use: (service: Handle) => T): T {
  const service = check(advapi32.OpenServiceW(manager, wide(name), access), "OpenServiceW", name);
  try {
    return use(service);
  } finally {
    advapi32.CloseServiceHandle(service);
  }
}

/** The words of a command line, as programs of Microsoft's C runtime read them. */
export function wordsOf(line: string): string[] {
  // Of an empty line the function makes the path of this program.
  if (line.trim() === "") return [];
  const count = new Int32Array(1);
  const list = shell32().CommandLineToArgvW(wide(line), count);
  if (list === null) return [line];
  try {
    const pointers = bytesAt(Number(list), (count[0] ?? 0) * BigUint64Array.BYTES_PER_ELEMENT);
    return Array.from({ length: count[0] ?? 0 }, (_, index) =>
      wideAt(addressIn(pointers, index * BigUint64Array.BYTES_PER_ELEMENT)),
    );
  } finally {
    kernel32.LocalFree(list);
  }
}

/** Calls a function that first tells how many bytes it wants. @returns undefined when it gives none */
function answerOf(ask: (into: Buffer | null, room: number, needed: Uint32Array) => number): Buffer | undefined {
  const needed = new Uint32Array(1);
  ask(null, 0, needed);
  if (lastError() !== ERROR.INSUFFICIENT_BUFFER) return undefined;
  const answer = Buffer.from(new ArrayBuffer(needed[0] ?? 0));
  return ask(answer, answer.byteLength, needed) === 0 ? undefined : answer;
}

function restartOf(service: Handle): boolean | undefined {
  const actions = answerOf((into, room, needed) =>
    advapi32Questions().QueryServiceConfig2W(service, SERVICE_CONFIG_FAILURE_ACTIONS, into, room, needed),
  );
  if (actions === undefined || actions.byteLength < FAILURE_ACTIONS.size) return undefined;
  const count = actions.readUInt32LE(FAILURE_ACTIONS.count);
  if (count === 0) return false;
  const first = bytesAt(addressIn(actions, FAILURE_ACTIONS.actions), ACTION.size);
  const restarted = first.readUInt32LE(ACTION.type) === SC_ACTION_RESTART;
  keepUntilHere(actions);
  return restarted;
}

function factsOf(service: Handle, name: string): ServiceFacts {
  const status = Buffer.alloc(STATUS.size);
  check(
    advapi32Questions().QueryServiceStatusEx(service, SC_STATUS_PROCESS_INFO, status, STATUS.size, new Uint32Array(1)),
    "QueryServiceStatusEx",
    name,
  );
  const config = answerOf((into, room, needed) => advapi32Questions().QueryServiceConfigW(service, into, room, needed));
  if (config === undefined) throw systemError("QueryServiceConfigW", lastError(), name);
  const line = wideAt(addressIn(config, CONFIG.program));
  keepUntilHere(config);
  const exitCode = status.readUInt32LE(STATUS.exitCode);
  return {
    state: STATES[status.readUInt32LE(STATUS.state)] ?? "unknown",
    processId: status.readUInt32LE(STATUS.processId),
    ending: exitCode === ERROR.SUCCESS ? undefined : errorText(exitCode),
    start: STARTS[config.readUInt32LE(CONFIG.start)] ?? "unknown",
    words: wordsOf(line),
    restarted: restartOf(service),
  };
}

/** What is known of a service; undefined when there is none of that name. @throws SystemError */
export function serviceFacts(name: string): ServiceFacts | undefined {
  try {
    return withManager(SC_MANAGER_CONNECT, (manager) =>
      withService(manager, name, SERVICE_QUERY_CONFIG | SERVICE_QUERY_STATUS, (service) => factsOf(service, name)),
    );
  } catch (error) {
    const isMissing = error instanceof SystemError && error.code === errorName(ERROR.SERVICE_DOES_NOT_EXIST);
    if (isMissing) return undefined;
    throw error;
  }
}
