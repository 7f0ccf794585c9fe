/**
 * The event loop: the main thread sleeps on an I/O completion port, so that an idle agent makes no system call.
 *
 * Bun's own event loop does not run meanwhile, hence nothing here uses Bun's timers, sockets or child processes. Reads
 * and writes end as packets with the address of their OVERLAPPED; what happens on other threads (a process has ended,
 * the service is told to stop) is posted by the native code of `thunk.ts`, under a key of its own.
 */
import { type Pointer, ptr } from "bun:ffi";
import { drainMicrotasks } from "bun:jsc";
import type { Loop } from "../../src/guest.ts";
import { after, patience, runTasks, runTimers, soon } from "../../src/timers.ts";
import { check, lastError, systemError } from "./errors.ts";
import { type Handle, INVALID_HANDLE, kernel32 } from "./kernel32.ts";
import { type PostingCode, postingFunction } from "./thunk.ts";

/** OVERLAPPED_ENTRY (minwinbase.h). */
const ENTRY = { size: 32, key: 0, overlapped: 8, bytes: 24 } as const;
const MAX_ENTRIES = 64;
const INFINITE = 0xffffffff;
const WAIT_TIMEOUT = 258;
const WT_EXECUTEONLYONCE = 0x8;

/** Packets of reads and writes carry this key. */
const IO = 0;

/** The port itself, for the native code that posts to it. */
export const completionPort: Handle = check(
  kernel32.CreateIoCompletionPort(INVALID_HANDLE, 0, 0, 1),
  "CreateIoCompletionPort",
);
/** Over an ArrayBuffer of its own: a small typed array without one moves when somebody first asks for its buffer. */
const entries = Buffer.from(new ArrayBuffer(MAX_ENTRIES * ENTRY.size));
const entriesPointer: Pointer = ptr(entries);
const removed = new Uint32Array(new ArrayBuffer(4));

type PacketHandler = (bytes: number, value: number) => void;

/** What to call for a key. */
const packetHandlers: PacketHandler[] = [];
/** Operations under way, by the address of their OVERLAPPED; being here keeps their memory alive. */
const operations = new Map<number, (bytes: number) => void>();

let running = false;

/** Sends the ends of a handle's reads and writes to this loop. @throws SystemError */
export function associate(handle: Handle): void {
  check(kernel32.CreateIoCompletionPort(handle, completionPort, IO, 0), "CreateIoCompletionPort");
}

/** Calls back once with the number of bytes when the operation with this OVERLAPPED has ended. */
export function expectOperation(overlapped: number, ended: (bytes: number) => void): void {
  operations.set(overlapped, ended);
}

/** Says that an operation was refused at once, so that no packet will come. */
export function forgetOperation(overlapped: number): void {
  operations.delete(overlapped);
}

/**
 * Makes a native function that may be called on any thread; `handler` is called with what it has put into the packet.
 * It lives as long as the process.
 * @param result what the function returns
 * @throws SystemError
 */
export function callbackFunction(code: PostingCode, result: number, handler: PacketHandler): Pointer {
  const key = packetHandlers.push(handler) + IO;
  return postingFunction(completionPort, key, code, result);
}

const waits = new Map<number, { readonly callback: () => void; registration: Handle }>();
let nextWait = 1;
let waitFunction: Pointer | undefined;

/** WAITORTIMERCALLBACK(context, fired): the context is the number of the wait. */
const WAIT_CODE: PostingCode = {
  value: [0x49, 0x89, 0xc9], // mov r9, rcx
  bytes: [0x31, 0xd2], // xor edx, edx
};

/**
 * Calls back once when a kernel object (process, thread, event) is signalled.
 * @returns ends the wait
 * @throws SystemError
 */
export function whenSignalled(object: Handle, callback: () => void): () => void {
  waitFunction ??= callbackFunction(WAIT_CODE, 0, (_, id) => {
    const wait = waits.get(id);
    if (wait === undefined) return;
    waits.delete(id);
    kernel32.UnregisterWaitEx(wait.registration, 0);
    wait.callback();
  });
  const id = nextWait++;
  const out = new BigInt64Array(1);
  check(
    kernel32.RegisterWaitForSingleObject(out, object, waitFunction, id as Pointer, INFINITE, WT_EXECUTEONLYONCE),
    "RegisterWaitForSingleObject",
  );
  const registration = Number(out[0]);
  waits.set(id, { callback, registration });
  return () => {
    if (waits.delete(id)) kernel32.UnregisterWaitEx(registration, INVALID_HANDLE);
  };
}

function handlePacket(key: number, bytes: number, value: number): void {
  if (key !== IO) return packetHandlers[key - 1 - IO]?.(bytes, value);
  const ended = operations.get(value);
  operations.delete(value);
  ended?.(bytes);
}

function wait(): number {
  const done = kernel32.GetQueuedCompletionStatusEx(
    completionPort,
    entriesPointer,
    MAX_ENTRIES,
    removed,
    patience(INFINITE),
    0,
  );
  if (done !== 0) return removed[0] ?? 0;
  const code = lastError();
  if (code !== WAIT_TIMEOUT) throw systemError("GetQueuedCompletionStatusEx", code);
  return 0;
}

/** Waits for what comes next, and serves it. */
function turn(): void {
  const count = wait();
  const packets = Array.from({ length: count }, (_, index) => {
    const at = index * ENTRY.size;
    return {
      key: Number(entries.readBigUInt64LE(at + ENTRY.key)),
      value: Number(entries.readBigUInt64LE(at + ENTRY.overlapped)),
      bytes: entries.readUInt32LE(at + ENTRY.bytes),
    };
  });
  for (const { key, bytes, value } of packets) handlePacket(key, bytes, value);
  runTimers();
  runTasks();
  drainMicrotasks();
}

/** Serves events until `done`, whoever waits meanwhile. */
export function turnUntil(done: () => boolean): void {
  while (!done()) turn();
}

const endings: (() => void)[] = [];

/** Calls back when the loop was stopped. */
export function onLoopEnd(callback: () => void): void {
  endings.push(callback);
}

const terminations: ((reason: string) => void)[] = [];

/** Tells the owner of the loop that the process is asked to end. */
export function askToTerminate(reason: string): void {
  for (const callback of terminations) callback(reason);
}

/** Events of a console (SetConsoleCtrlHandler). */
const CONSOLE_EVENTS: Readonly<Record<number, string>> = {
  0: "Ctrl+C",
  1: "Ctrl+Break",
  2: "the end of the console",
  5: "a logoff",
  6: "a shutdown",
};

/** HandlerRoutine(event) */
const CONSOLE_CODE: PostingCode = {
  value: [0x41, 0x89, 0xc9], // mov r9d, ecx
  bytes: [0x31, 0xd2], // xor edx, edx
};
let consoleWatched = false;

export const loop: Loop = {
  run() {
    running = true;
    while (running) turn();
    for (const callback of endings) callback();
  },
  stop() {
    running = false;
  },
  after,
  soon,
  onTerminate(callback) {
    terminations.push(callback);
    if (consoleWatched) return;
    consoleWatched = true;
    const handler = callbackFunction(CONSOLE_CODE, 1, (_, event) => {
      // A service is not ended by a user who logs off.
      const reason = CONSOLE_EVENTS[event];
      if (reason !== undefined && event !== 5) askToTerminate(reason);
    });
    kernel32.SetConsoleCtrlHandler(handler, 1);
  },
};
