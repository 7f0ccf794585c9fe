/**
 * Running as a service (winsvc.h).
 *
 * StartServiceCtrlDispatcherW blocks a thread for the service's life, and calls back on threads of its own. So the
 * thread is made with that very function as its start, and both callbacks are native code that posts to the completion
 * port: no JavaScript runs on any thread but the main one, and none is needed for the manager to be answered.
 */
import { type Pointer, ptr } from "bun:ffi";
import { type Daemon, SystemError } from "../../src/guest.ts";
import { advapi32 } from "./advapi32.ts";
import { check, ERROR, systemError } from "./errors.ts";
import { type Handle, kernel32 } from "./kernel32.ts";
import { askToTerminate, callbackFunction, onLoopEnd, turnUntil, whenSignalled } from "./loop.ts";
import { SERVICE_NAME } from "./service-manager.ts";
import { type PostingCode, procedure } from "./thunk.ts";
import { wide } from "./wide.ts";

const STATE = { stopped: 1, startPending: 2, stopPending: 3, running: 4 } as const;
const SERVICE_WIN32_OWN_PROCESS = 0x10;
const ACCEPT_STOP = 0x01;
const ACCEPT_SHUTDOWN = 0x04;
const ACCEPT_SESSIONCHANGE = 0x80;
const WAIT_HINT_MS = 30_000;

const CONTROL = { stop: 1, shutdown: 5, sessionChange: 14 } as const;

/** ServiceMain(argc, argv): that it was called is all there is to know. */
const MAIN_CODE: PostingCode = {
  value: [0x45, 0x31, 0xc9], // xor r9d, r9d
  bytes: [0x31, 0xd2], // xor edx, edx
};

/** HandlerEx(control, eventType, eventData, context): the control as bytes, the type and a session's id as the value. */
const HANDLER_CODE: PostingCode = {
  value: [
    ...[0x41, 0x89, 0xd1], // mov r9d, edx: the type of the event
    ...[0x83, 0xf9, CONTROL.sessionChange], // cmp ecx, 14
    ...[0x75, 0x0b], // jne: over the next three
    ...[0x45, 0x8b, 0x40, 0x04], // mov r8d, [r8 + 4]: WTSSESSION_NOTIFICATION.dwSessionId
    ...[0x49, 0xc1, 0xe0, 0x20], // shl r8, 32
    ...[0x4d, 0x09, 0xc1], // or r9, r8
  ],
  bytes: [0x89, 0xca], // mov edx, ecx
};

/** What happened to a session: WTS_SESSION_LOGON and the like. */
type SessionChange = (type: number, session: number) => void;
const sessionWatchers = new Set<SessionChange>();

/** Calls back when a session begins, ends, is locked or unlocked; only a service is told. */
export function watchSessionChanges(happened: SessionChange): () => void {
  sessionWatchers.add(happened);
  return () => sessionWatchers.delete(happened);
}

let statusHandle: Handle = 0;
let stopping = false;
/** SERVICE_STATUS: seven numbers. */
const status = new Uint32Array(new ArrayBuffer(28));

function report(state: number, exitCode = 0): void {
  const accepted = state === STATE.running ? ACCEPT_STOP | ACCEPT_SHUTDOWN | ACCEPT_SESSIONCHANGE : 0;
  const hint = state === STATE.startPending || state === STATE.stopPending ? WAIT_HINT_MS : 0;
  status.set([SERVICE_WIN32_OWN_PROCESS, state, accepted, exitCode, 0, 0, hint]);
  advapi32.SetServiceStatus(statusHandle, status);
}

function handleControl(control: number, value: number): void {
  if (control === CONTROL.stop || control === CONTROL.shutdown) {
    stopping = true;
    report(STATE.stopPending);
    askToTerminate(control === CONTROL.stop ? "the service's stop" : "the system's shutdown");
  } else if (control === CONTROL.sessionChange) {
    const type = value % 2 ** 32;
    for (const happened of sessionWatchers) happened(type, Math.floor(value / 2 ** 32));
  }
}

/** What the dispatcher needs as long as it runs: SERVICE_TABLE_ENTRYW and the name in it. */
const name = wide(SERVICE_NAME);
const table = new BigUint64Array(new ArrayBuffer(32));

/** Waits until the manager has called. @throws SystemError when this process is no service */
function attach(): void {
  let called = false;
  let ended = false;
  const main = callbackFunction(MAIN_CODE, 0, () => {
    called = true;
  });
  const handler = callbackFunction(HANDLER_CODE, 0, handleControl);
  table.set([BigInt(ptr(name)), BigInt(main), 0n, 0n]);
  const dispatcher = procedure("advapi32.dll", "StartServiceCtrlDispatcherW") as Pointer;
  const thread = check(kernel32.CreateThread(null, 0, dispatcher, ptr(table), 0, null), "CreateThread");
  whenSignalled(thread, () => {
    ended = true;
    kernel32.CloseHandle(thread);
  });
  turnUntil(() => called || ended);
  if (!called) {
    const { code, reason } = systemError("", ERROR.FAILED_SERVICE_CONTROLLER_CONNECT);
    throw new SystemError("StartServiceCtrlDispatcherW", code, reason, `option -d is for the service ${SERVICE_NAME}`);
  }
  statusHandle = check(
    advapi32.RegisterServiceCtrlHandlerExW(name, handler, null),
    "RegisterServiceCtrlHandlerExW",
    SERVICE_NAME,
  );
  report(STATE.startPending);
  // A stop that nobody asked for is a failure: the manager then starts the service again.
  onLoopEnd(() => report(STATE.stopped, stopping ? ERROR.SUCCESS : ERROR.GEN_FAILURE));
}

export const daemon: Daemon = {
  detach() {
    attach();
    return undefined;
  },
  lockPidFile: () => () => {},
  settle: () => report(STATE.running),
};
