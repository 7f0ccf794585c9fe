/** Child processes by posix_spawn(3), watched through pidfd_open(2). */
import { ptr } from "bun:ffi";
import { watchForEnd } from "../../src/child-end.ts";
import type { ExitStatus, Processes, SpawnEvents, SpawnRequest } from "../../src/guest.ts";
import { check, cstring, cstringArray, EAGAIN, EINTR, errno, libc, systemError } from "./libc.ts";
import { childStarted, EPOLLIN, EPOLLOUT, loop, unwatchFd, watchFd } from "./loop.ts";

const O_CLOEXEC = 0o2000000;
const O_NONBLOCK = 0o4000;
const O_RDWR = 2;
const F_SETFL = 4;
const X_OK = 1;
const SYS_PIDFD_OPEN = 434;
const WNOHANG = 1;
const SIGKILL = 9;
const ENOENT = 2;
const EACCES = 13;
const ENOEXEC = 8;
const ENOTDIR = 20;

const POSIX_SPAWN_SETPGROUP = 0x02;
const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSIGMASK = 0x08;

const RLIMIT_NOFILE = 7;
const USUAL_FILES = 1024n;

/** Larger than posix_spawnattr_t and posix_spawn_file_actions_t of glibc (336, 80) and musl. */
const OPAQUE = 512;
/** sigset_t of both libraries. */
const NO_SIGNALS = new Uint8Array(128);
/**
 * SIGPIPE and SIGXFSZ: Bun ignores them, and a child would inherit that. 32 and 33: glibc's own, which posix_spawn(3)
 * leaves ignored in a child unless they are asked for.
 */
const IGNORED_SIGNALS = new Uint8Array(128);
IGNORED_SIGNALS[(32 - 1) >> 3]! |= 1 << ((32 - 1) & 7);
IGNORED_SIGNALS[(33 - 1) >> 3]! |= 1 << ((33 - 1) & 7);
IGNORED_SIGNALS[(13 - 1) >> 3]! |= 1 << ((13 - 1) & 7);
IGNORED_SIGNALS[(25 - 1) >> 3]! |= 1 << ((25 - 1) & 7);

/** Where execvp(3) looks when PATH is not set. */
const DEFAULT_PATH = "/bin:/usr/bin";
/** How often a kernel without pidfd_open (before 5.3) is asked about its children. */
const REAP_INTERVAL = 20;

const attributes = Buffer.alloc(OPAQUE);
const actions = Buffer.alloc(OPAQUE);
/** struct rlimit: soft, hard. */
const ownLimit = new BigUint64Array(2);
const pidOut = new Int32Array(1);
const statusOut = new Int32Array(1);
const pipeOut = new Int32Array(2);
/** Output is handed on at once, so that one buffer serves all children. */
const outputBuffer = Buffer.alloc(64 * 1024);

let devNull = -1;
const nullDevice = (): number => {
  if (devNull < 0) devNull = check(libc.open(cstring("/dev/null"), O_RDWR | O_CLOEXEC, 0), "open", "/dev/null");
  return devNull;
};

interface Pipe {
  readonly ours: number;
  readonly theirs: number;
}

/** A pipe whose end on our side does not block. */
function openPipe(direction: "to child" | "from child"): Pipe {
  check(libc.pipe2(pipeOut, O_CLOEXEC), "pipe2");
  const [reader, writer] = [pipeOut[0]!, pipeOut[1]!];
  const pipe = direction === "to child" ? { ours: writer, theirs: reader } : { ours: reader, theirs: writer };
  libc.fcntl(pipe.ours, F_SETFL, O_NONBLOCK);
  return pipe;
}

/** The environment's PATH, the child's own when it was given one. */
function searchPath(env: readonly string[] | undefined): string {
  if (env === undefined) return process.env.PATH ?? DEFAULT_PATH;
  return env.find((entry) => entry.startsWith("PATH="))?.slice("PATH=".length) ?? DEFAULT_PATH;
}

/** Files that execvp(3) would try, in order. */
function candidates(program: string, env: readonly string[] | undefined): string[] {
  if (program === "" || program.includes("/")) return [program];
  return searchPath(env)
    .split(":")
    .map((directory) => `${directory || "."}/${program}`)
    .filter((file) => libc.access(cstring(file), X_OK) === 0);
}

let inherited: ReturnType<typeof cstringArray> | undefined;
function ownEnvironment(): ReturnType<typeof cstringArray> {
  inherited ??= cstringArray(Object.entries(process.env).map(([name, value]) => `${name}=${value ?? ""}`));
  return inherited;
}

function spawnFile(file: string, argv: readonly string[], env: readonly string[] | undefined): number {
  const { array, keep } = cstringArray(argv);
  const environment = env === undefined ? ownEnvironment() : cstringArray(env);
  const code = libc.posix_spawn(pidOut, cstring(file), actions, attributes, array, environment.array);
  // The strings must outlive the call; this use of them keeps the collector away.
  if (keep.length + environment.keep.length < 0) throw new RangeError();
  return code;
}

/** Starts the first candidate that can be started; a file without a `#!` line is a shell script, as with execvp(3). */
function spawnFirst(argv: readonly string[], env: readonly string[] | undefined): number {
  const program = argv[0] ?? "";
  let failure = ENOENT;
  for (const file of candidates(program, env)) {
    let code = spawnFile(file, argv, env);
    if (code === ENOEXEC) code = spawnFile("/bin/sh", ["sh", file, ...argv.slice(1)], env);
    if (code === 0) return pidOut[0]!;
    if (program.includes("/") || (code !== ENOENT && code !== ENOTDIR)) failure = code;
    if (code !== ENOENT && code !== ENOTDIR && code !== EACCES) break;
  }
  throw systemError("posix_spawn", failure, program);
}

/**
 * Bun has raised the limit of open files for itself (getrlimit(2)). Children get the usual one: there are programs that
 * close every descriptor they might have, and select(2) knows none beyond it.
 */
function withUsualLimit<T>(spawning: () => T): T {
  libc.getrlimit(RLIMIT_NOFILE, ownLimit);
  const [current = 0n, maximum = 0n] = ownLimit;
  if (current <= USUAL_FILES) return spawning();
  libc.setrlimit(RLIMIT_NOFILE, BigUint64Array.of(USUAL_FILES, maximum));
  try {
    return spawning();
  } finally {
    libc.setrlimit(RLIMIT_NOFILE, BigUint64Array.of(current, maximum));
  }
}

function exitStatus(status: number): ExitStatus {
  const signal = status & 0x7f;
  return signal === 0 ? { exitCode: (status >> 8) & 0xff } : { signal };
}

/** Calls back with the status once the child has ended and was reaped. */
function reap(pid: number, done: (status: ExitStatus) => void): void {
  const collect = (): boolean => {
    const found = libc.waitpid(pid, statusOut, WNOHANG);
    if (found === 0 || (found < 0 && errno() === EINTR)) return false;
    done(found === pid ? exitStatus(statusOut[0]!) : {});
    return true;
  };
  const pidfd = Number(libc.syscall(SYS_PIDFD_OPEN, pid, 0, 0, 0));
  if (pidfd >= 0) {
    watchFd(pidfd, EPOLLIN, () => {
      if (!collect()) return;
      unwatchFd(pidfd);
      libc.close(pidfd);
    });
    return;
  }
  const ask = (): void => {
    if (!collect()) loop.after(REAP_INTERVAL, ask);
  };
  ask();
}

/** Hands all that a pipe gives to `output`, then closes it and says so. @returns hands on what is there, and closes */
function drainPipe(fd: number, output: (bytes: Uint8Array) => void, closed: () => void): () => void {
  let isOpen = true;
  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    unwatchFd(fd);
    libc.close(fd);
    closed();
  };
  const read = (): void => {
    if (!isOpen) return;
    // A child that never stops printing must not keep the loop from its other work.
    for (let slices = 0; slices < 16; slices++) {
      const count = Number(libc.read(fd, outputBuffer, outputBuffer.byteLength));
      if (count > 0) output(outputBuffer.subarray(0, count));
      else if (count === 0) return close();
      else if (errno() === EAGAIN) return;
      else if (errno() !== EINTR) return close();
    }
    loop.soon(read);
  };
  watchFd(fd, EPOLLIN, read);
  return () => {
    read();
    close();
  };
}

/** Writes all of `input`, then closes the pipe; a child that does not read it is left alone. */
function fillPipe(fd: number, input: Uint8Array): void {
  let at = 0;
  const close = (): void => {
    unwatchFd(fd);
    libc.close(fd);
  };
  const write = (): void => {
    while (at < input.byteLength) {
      const count = Number(libc.write(fd, ptr(input, at), input.byteLength - at));
      if (count > 0) at += count;
      else if (errno() === EAGAIN) return;
      else if (errno() !== EINTR) return close();
    }
    close();
  };
  watchFd(fd, EPOLLOUT, write);
}

function prepare(group: boolean): void {
  libc.posix_spawnattr_init(attributes);
  libc.posix_spawnattr_setsigmask(attributes, NO_SIGNALS);
  libc.posix_spawnattr_setsigdefault(attributes, IGNORED_SIGNALS);
  libc.posix_spawnattr_setflags(
    attributes,
    POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | (group ? POSIX_SPAWN_SETPGROUP : 0),
  );
  libc.posix_spawn_file_actions_init(actions);
}

function spawn(request: SpawnRequest, events: SpawnEvents): number {
  const opened: Pipe[] = [];
  const pipe = (direction: "to child" | "from child"): Pipe => {
    const made = openPipe(direction);
    opened.push(made);
    return made;
  };
  let pid: number;
  const pipes: { stdin?: Pipe; stdout?: Pipe; stderr?: Pipe } = {};
  prepare(request.timeout !== undefined);
  try {
    if (request.input !== undefined) pipes.stdin = pipe("to child");
    if (request.stdout === "pipe") pipes.stdout = pipe("from child");
    if (request.stderr === "pipe") pipes.stderr = pipe("from child");
    const stdout = pipes.stdout?.theirs ?? nullDevice();
    const stderr = request.stderr === "stdout" ? stdout : (pipes.stderr?.theirs ?? nullDevice());
    libc.posix_spawn_file_actions_adddup2(actions, pipes.stdin?.theirs ?? nullDevice(), 0);
    libc.posix_spawn_file_actions_adddup2(actions, stdout, 1);
    libc.posix_spawn_file_actions_adddup2(actions, stderr, 2);
    pid = withUsualLimit(() => spawnFirst(request.argv, request.env));
  } catch (error) {
    for (const { ours } of opened) libc.close(ours);
    throw error;
  } finally {
    for (const { theirs } of opened) libc.close(theirs);
    libc.posix_spawn_file_actions_destroy(actions);
    libc.posix_spawnattr_destroy(attributes);
  }
  childStarted();

  const end = watchForEnd(
    loop,
    request.timeout,
    () => libc.kill(-pid, SIGKILL),
    (status) => events.ended(status),
  );
  if (pipes.stdin !== undefined && request.input !== undefined) fillPipe(pipes.stdin.ours, request.input);
  for (const name of ["stdout", "stderr"] as const) {
    const fd = pipes[name]?.ours;
    if (fd !== undefined) end.awaitPipe((closed) => drainPipe(fd, (bytes) => events.output(name, bytes), closed));
  }
  reap(pid, end.exited);
  return pid;
}

export const processes: Processes = { spawn };
