/**
 * The event loop: the main thread sleeps in epoll_wait(2), so that an idle agent makes no system call.
 *
 * Bun's own event loop does not run meanwhile (it wakes up each second for its garbage collector), hence
 * nothing here uses Bun's timers, sockets or child processes. Everything is edge-triggered: a virtio port
 * without a host is level-ready for ever.
 */
import { type Pointer, ptr } from "bun:ffi";
import { drainMicrotasks } from "bun:jsc";
import type { Loop } from "../../src/guest.ts";
import { check, EINTR, errno, libc } from "./libc.ts";
import { openSignalPipe } from "./signals.ts";

export const EPOLLIN = 0x1;
export const EPOLLOUT = 0x4;
export const EPOLLERR = 0x8;
export const EPOLLHUP = 0x10;
export const EPOLLRDHUP = 0x2000;
const EPOLLET = 0x80000000;
const EPOLL_CLOEXEC = 0x80000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;

/** struct epoll_event is packed on x86-64 only (epoll_ctl(2)). */
export const EPOLL_EVENT = process.arch === "x64" ? { size: 12, events: 0, data: 4 } : { size: 16, events: 0, data: 8 };
const MAX_EVENTS = 64;

const SIGNAL_NAMES: Readonly<Record<number, string>> = { 2: "SIGINT", 15: "SIGTERM" };

const epoll = check(libc.epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
/** Over an ArrayBuffer of its own: a small typed array without one moves when somebody first asks for its buffer. */
const ready = Buffer.from(new ArrayBuffer(MAX_EVENTS * EPOLL_EVENT.size));
const readyPointer: Pointer = ptr(ready);
const scratch = Buffer.alloc(EPOLL_EVENT.size);

/** What to call for a descriptor, by its number. */
const handlers: (((events: number) => void) | undefined)[] = [];

interface Timer {
  readonly due: number;
  readonly callback: () => void;
}
let timers: Timer[] = [];
let tasks: (() => void)[] = [];
let running = false;

function control(operation: number, fd: number, events: number): void {
  scratch.writeUInt32LE((events | EPOLLET) >>> 0, EPOLL_EVENT.events);
  scratch.writeInt32LE(fd, EPOLL_EVENT.data);
  check(libc.epoll_ctl(epoll, operation, fd, scratch), "epoll_ctl");
}

/** Calls `handler` with the ready events each time one of `events` comes up. @throws SystemError */
export function watchFd(fd: number, events: number, handler: (events: number) => void): void {
  control(EPOLL_CTL_ADD, fd, events);
  handlers[fd] = handler;
}

/** Changes what is waited for. @throws SystemError */
export function rewatchFd(fd: number, events: number): void {
  control(EPOLL_CTL_MOD, fd, events);
}

/** Ends the events of a descriptor; call it before close(2). */
export function unwatchFd(fd: number): void {
  if (handlers[fd] === undefined) return;
  handlers[fd] = undefined;
  libc.epoll_ctl(epoll, EPOLL_CTL_DEL, fd, scratch);
}

const monotonic = (): number => performance.now();

/** Milliseconds to sleep: until the next timer, for ever (-1) when there is none. */
function patience(): number {
  if (tasks.length > 0) return 0;
  const next = timers[0];
  return next === undefined ? -1 : Math.max(0, Math.ceil(next.due - monotonic()));
}

function runTimers(): void {
  while (timers[0] !== undefined && timers[0].due <= monotonic()) timers.shift()?.callback();
}

function runTasks(): void {
  const now = tasks;
  tasks = [];
  for (const task of now) task();
}

/**
 * A host that asks one thing after the other asks again within some microseconds, and to fall asleep and be woken up
 * takes longer than that. So after short waits the next one begins awake. Where that is in vain, as on a single
 * processor that the host's side needs too, it is tried ever more rarely.
 */
const SHORT_MS = 0.1;
const AWAKE_MS = 0.05;
const MOST_SHORT_WAITS = 1024;
let shortWaitsToGo = 1;
let shortWaitsAfterFailure = 1;

/** How long a child that was started comes first: most are done by then, and each question would interrupt it. */
const CHILD_FIRST_MS = 2;
let childFirstUntil = 0;

/** Lets a child that was just started run before the next wait, should it be on the same processor. */
export function childStarted(): void {
  childFirstUntil = monotonic() + CHILD_FIRST_MS;
}

/** Waits for events. @returns how many, -1 and errno when it failed */
function wait(): number {
  const milliseconds = patience();
  if (milliseconds === 0) return libc.epoll_wait(epoll, readyPointer, MAX_EVENTS, 0);
  const begin = monotonic();
  if (begin < childFirstUntil) {
    libc.sched_yield();
    return libc.epoll_wait(epoll, readyPointer, MAX_EVENTS, milliseconds);
  }
  if (shortWaitsToGo === 0) {
    do {
      const count = libc.epoll_wait(epoll, readyPointer, MAX_EVENTS, 0);
      if (count === 0) continue;
      shortWaitsAfterFailure = 1;
      return count;
    } while (monotonic() - begin < AWAKE_MS);
    shortWaitsToGo = shortWaitsAfterFailure;
    shortWaitsAfterFailure = Math.min(2 * shortWaitsAfterFailure, MOST_SHORT_WAITS);
  }
  const count = libc.epoll_wait(epoll, readyPointer, MAX_EVENTS, milliseconds);
  if (monotonic() - begin < SHORT_MS) shortWaitsToGo--;
  return count;
}

function turn(): void {
  const count = wait();
  if (count < 0 && errno() !== EINTR) check(count, "epoll_wait");
  for (let index = 0; index < count; index++) {
    const at = index * EPOLL_EVENT.size;
    const fd = ready.readInt32LE(at + EPOLL_EVENT.data);
    handlers[fd]?.(ready.readUInt32LE(at + EPOLL_EVENT.events));
  }
  if (timers.length > 0) runTimers();
  if (tasks.length > 0) runTasks();
  drainMicrotasks();
}

export const loop: Loop = {
  run() {
    running = true;
    while (running) turn();
  },
  stop() {
    running = false;
  },
  after(milliseconds, callback) {
    const timer = { due: monotonic() + milliseconds, callback };
    const at = timers.findIndex((other) => other.due > timer.due);
    timers.splice(at < 0 ? timers.length : at, 0, timer);
    return () => {
      timers = timers.filter((other) => other !== timer);
    };
  },
  soon(callback) {
    tasks.push(callback);
  },
  onTerminate(callback) {
    const signals = openSignalPipe(Object.keys(SIGNAL_NAMES).map(Number));
    watchFd(signals.fd, EPOLLIN, () => {
      for (const signal of signals.take()) callback(SIGNAL_NAMES[signal] ?? `signal ${signal}`);
    });
  },
};
