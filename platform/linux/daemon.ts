/**
 * Running in the background (daemon(7)).
 *
 * fork(2) alone would leave a JavaScript engine without its helper threads, so the program is started anew. The first
 * process waits on a pipe and ends when the second one answers hosts, or has said why it does not.
 */
import { ptr } from "bun:ffi";
import { fstatSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { type Daemon, SystemError } from "../../src/guest.ts";
import { check, cstring, EAGAIN, EINTR, errno, libc, systemError } from "./libc.ts";

const O_WRONLY = 1;
const O_RDWR = 2;
const O_CREAT = 0o100;
const O_CLOEXEC = 0o2000000;
const PID_FILE_MODE = 0o600;

const F_SETFD = 2;
const FD_CLOEXEC = 1;
/** A lock of the open file, not of the process: closing the same file elsewhere in the process does not lose it. */
const F_OFD_SETLK = 37;
const F_WRLCK = 1;
/** struct flock (fcntl(2)) of 64-bit systems; zeroes mean the whole file. */
const FLOCK = { size: 32, type: 0 };
const EACCES = 13;

const PRIVATE_UMASK = 0o077;
const PROGRAM = "/proc/self/exe";

/** Tells the second process the pipe's number and who its parent is. */
const READY = "INGUEST_READY";

/** The pipe to the first process, when this is the second one. */
let ready = takeReadyPipe();

function takeReadyPipe(): number | undefined {
  const [, fd, parent] = /^(\d+):(\d+)$/.exec(process.env[READY] ?? "") ?? [];
  delete process.env[READY];
  if (fd === undefined || parent !== String(process.ppid)) return undefined;
  if (libc.fcntl(Number(fd), F_SETFD, FD_CLOEXEC) < 0) return undefined;
  // Sockets that the service manager handed to the first process are meant for this one.
  if (process.env.LISTEN_PID === parent) process.env.LISTEN_PID = String(process.pid);
  return Number(fd);
}

/** Pointers to the strings in a block of NUL-terminated ones, ended by NULL. */
function stringPointers(block: Buffer): BigUint64Array {
  const pointers: bigint[] = [];
  for (let at = 0; at < block.byteLength; at = block.indexOf(0, at) + 1) pointers.push(BigInt(ptr(block, at)));
  return BigUint64Array.of(...pointers, 0n);
}

/** Starts this very program again, with the same words and environment, and one end of the pipe. */
function startAgain(pipe: number): number {
  const words = readFileSync("/proc/self/cmdline");
  const environment = Buffer.concat([
    readFileSync("/proc/self/environ"),
    Buffer.from(`${READY}=${pipe}:${process.pid}\0`),
  ]);
  const pid = new Int32Array(1);
  const argv = stringPointers(words);
  const code = libc.posix_spawn(pid, cstring(PROGRAM), null, null, argv, stringPointers(environment));
  // The strings must outlive the call; this use of them keeps the collector away.
  if (words.byteLength + environment.byteLength < 0) throw new RangeError();
  if (code !== 0) throw systemError("posix_spawn", code, PROGRAM);
  return pid[0] ?? 0;
}

/** Calls again what a signal has interrupted. */
function uninterrupted(call: () => number): number {
  for (;;) {
    const result = call();
    if (result >= 0 || errno() !== EINTR) return result;
  }
}

/** Waits for the end of a child. @returns its exit code */
function exitCodeOf(pid: number): number {
  const status = new Int32Array(1);
  check(
    uninterrupted(() => libc.waitpid(pid, status, 0)),
    "waitpid",
  );
  const [word = 0] = status;
  const signal = word & 0x7f;
  if (signal !== 0) throw new SystemError("start", "EINTR", `ended by signal ${signal}`, "in the background");
  return (word >> 8) & 0xff;
}

function detach(): number | undefined {
  if (ready !== undefined) return undefined;
  const pipe = new Int32Array(2);
  check(libc.pipe2(pipe, O_CLOEXEC), "pipe2");
  const [reader = -1, writer = -1] = pipe;
  check(libc.fcntl(writer, F_SETFD, 0), "fcntl");
  const child = startAgain(writer);
  libc.close(writer);
  const answer = Buffer.alloc(1);
  const isReady = uninterrupted(() => Number(libc.read(reader, answer, answer.byteLength))) === 1;
  libc.close(reader);
  return isReady ? 0 : exitCodeOf(child);
}

/** The program in /proc/self/exe would show up as "exe" in ps(1): takes the name that the first process has. */
function takeName(): void {
  try {
    writeFileSync("/proc/self/comm", readFileSync(`/proc/${process.ppid}/comm`, "utf8").trimEnd());
  } catch {
    // It only looks odd.
  }
}

function settle(): void {
  if (ready !== undefined) takeName();
  libc.umask(PRIVATE_UMASK);
  check(libc.setsid(), "setsid");
  process.chdir("/");
  const nothing = check(libc.open(cstring("/dev/null"), O_RDWR | O_CLOEXEC, 0), "open", "/dev/null");
  for (const stream of [0, 1, 2]) check(libc.dup2(nothing, stream), "dup2");
  if (nothing > 2) libc.close(nothing);
  if (ready === undefined) return;
  libc.write(ready, Buffer.of(1), 1);
  libc.close(ready);
  ready = undefined;
}

/** What the holder of a pid file wrote into it. */
function holder(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

/** Opens and locks a file which may be removed meanwhile by the one who had it. */
function openLocked(path: string): number {
  for (;;) {
    const fd = check(libc.open(cstring(path), O_CREAT | O_WRONLY | O_CLOEXEC, PID_FILE_MODE), "open", path);
    const lock = Buffer.alloc(FLOCK.size);
    lock.writeInt16LE(F_WRLCK, FLOCK.type);
    if (libc.fcntl(fd, F_OFD_SETLK, ptr(lock)) < 0) {
      const code = errno();
      libc.close(fd);
      if (code !== EAGAIN && code !== EACCES) throw systemError("lock", code, path);
      throw new SystemError("lock", "EAGAIN", `another agent has it, process ${holder(path)}`, path);
    }
    const now = statSync(path, { throwIfNoEntry: false });
    if (now?.ino === fstatSync(fd).ino) return fd;
    libc.close(fd);
  }
}

function lockPidFile(given: string): () => void {
  // The working directory changes later.
  const path = resolve(given);
  const fd = openLocked(path);
  const text = Buffer.from(`${process.pid}\n`);
  check(libc.ftruncate(fd, 0), "ftruncate", path);
  check(Number(libc.write(fd, text, text.byteLength)), "write", path);
  return () => {
    libc.unlink(cstring(path));
    libc.close(fd);
  };
}

export const daemon: Daemon = { detach, lockPidFile, settle };
