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
import { after, patience, runTasks, runTimers, soon } from "../../src/timers.ts";
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
/** epoll_wait(2) without a time limit. */
const FOREVER = -1;

const SIGNAL_NAMES: Readonly<Record<number, string>> = { 2: "SIGINT", 15: "SIGTERM" };

const epoll = check(libc.epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
/** Over an ArrayBuffer of its own: a small typed array without one moves when somebody first asks for its buffer. */
const ready = Buffer.from(new ArrayBuffer(MAX_EVENTS * EPOLL_EVENT.size));
const readyPointer: Pointer = ptr(ready);
const scratch = Buffer.alloc(EPOLL_EVENT.size);

/** What to call for a descriptor, by its number. */
const handlers: (((events: number) => void) | undefined)[] = [];

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
  childFirstUntil = performance.now() + CHILD_FIRST_MS;
}

/** @returns how many events there are, none or -1 when the time is over or a signal came. @throws SystemError */
function poll(milliseconds: number): number {
  const count = libc.epoll_wait(epoll, readyPointer, MAX_EVENTS, milliseconds);
  if (count < 0 && errno() !== EINTR) check(count, "epoll_wait");
  return count;
}

/** Waits for events. @returns how many there are. @throws SystemError */
function wait(): number {
  const milliseconds = patience(FOREVER);
  if (milliseconds === 0) return poll(0);
  const begin = performance.now();
  for (let now = begin; now < childFirstUntil; now = performance.now()) {
    libc.sched_yield();
    const count = poll(0);
    if (count !== 0) return count;
  }
  if (shortWaitsToGo === 0) {
    do {
      const count = poll(0);
      if (count === 0) continue;
      shortWaitsAfterFailure = 1;
      return count;
    } while (performance.now() - begin < AWAKE_MS);
    shortWaitsToGo = shortWaitsAfterFailure;
    shortWaitsAfterFailure = Math.min(2 * shortWaitsAfterFailure, MOST_SHORT_WAITS);
  }
  const count = poll(milliseconds);
  if (performance.now() - begin < SHORT_MS) shortWaitsToGo--;
  return count;
}

function turn(): void {
  const count = wait();
  for (let index = 0; index < count; index++) {
    const at = index * EPOLL_EVENT.size;
    const fd = ready.readInt32LE(at + EPOLL_EVENT.data);
    handlers[fd]?.(ready.readUInt32LE(at + EPOLL_EVENT.events));
  }
  runTimers();
  runTasks();
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
  after,
  soon,
  onTerminate(callback) {
    const signals = openSignalPipe(Object.keys(SIGNAL_NAMES).map(Number));
    watchFd(signals.fd, EPOLLIN, () => {
      for (const signal of signals.take()) callback(SIGNAL_NAMES[signal] ?? `signal ${signal}`);
    });
  },
};
