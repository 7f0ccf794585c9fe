/**
 * The C library, opened once. Every function here is the one of section 2 or 3 of the manual.
 *
 * A call that fails is turned into a typed error by `check`, which must follow the call at once: whatever
 * runs in between may leave its own errno.
 */
import { CString, dlopen, type FFIFunction, FFIType, type Library, type Pointer, ptr, read } from "bun:ffi";
import { SystemError } from "../../src/guest.ts";

declare const INGUEST_MUSL: boolean | undefined;

const machine = { x64: "x86_64", arm64: "aarch64" }[process.arch as string] ?? process.arch;

/** Only one of the two C libraries is in a guest; the build says which one the executable was made for. */
const musl = typeof INGUEST_MUSL === "boolean" ? INGUEST_MUSL : false;

const LIBRARY = musl ? `libc.musl-${machine}.so.1` : "libc.so.6";

/** What an agent that has nothing to do but to wait calls. */
const AT_START = {
  __errno_location: { args: [], returns: "ptr" },
  open: { args: ["ptr", "int", "int"], returns: "int" },
  close: { args: ["int"], returns: "int" },
  read: { args: ["int", "ptr", "usize"], returns: FFIType.i64_fast },
  write: { args: ["int", "ptr", "usize"], returns: FFIType.i64_fast },
  lseek: { args: ["int", "i64", "int"], returns: FFIType.i64_fast },
  fcntl: { args: ["int", "int", "i64"], returns: "int" },
  pipe2: { args: ["ptr", "int"], returns: "int" },
  socket: { args: ["int", "int", "int"], returns: "int" },
  bind: { args: ["int", "ptr", "u32"], returns: "int" },
  listen: { args: ["int", "int"], returns: "int" },
  accept4: { args: ["int", "ptr", "ptr", "int"], returns: "int" },
  setsockopt: { args: ["int", "int", "int", "ptr", "u32"], returns: "int" },
  epoll_create1: { args: ["int"], returns: "int" },
  epoll_ctl: { args: ["int", "int", "int", "ptr"], returns: "int" },
  epoll_wait: { args: ["int", "ptr", "int", "int"], returns: "int" },
  sched_yield: { args: [], returns: "int" },
  poll: { args: ["ptr", "u64", "int"], returns: "int" },
  sigaction: { args: ["int", "ptr", "ptr"], returns: "int" },
  mmap: { args: ["ptr", "usize", "int", "int", "int", "i64"], returns: FFIType.i64_fast },
  mprotect: { args: ["ptr", "usize", "int"], returns: "int" },
  clock_gettime: { args: ["int", "ptr"], returns: "int" },
  access: { args: ["ptr", "int"], returns: "int" },
  unlink: { args: ["ptr"], returns: "int" },
} as const satisfies Record<string, FFIFunction>;

const WHEN_NEEDED = {
  strerror: { args: ["int"], returns: "ptr" },
  ftruncate: { args: ["int", "i64"], returns: "int" },
  fchmod: { args: ["int", "u32"], returns: "int" },
  fsync: { args: ["int"], returns: "int" },
  ioctl: { args: ["int", "u64", "ptr"], returns: "int" },
  statvfs: { args: ["ptr", "ptr"], returns: "int" },
  pread: { args: ["int", "ptr", "usize", "i64"], returns: FFIType.i64_fast },
  pwrite: { args: ["int", "ptr", "usize", "i64"], returns: FFIType.i64_fast },
  dup2: { args: ["int", "int"], returns: "int" },
  connect: { args: ["int", "ptr", "u32"], returns: "int" },
  getsockname: { args: ["int", "ptr", "ptr"], returns: "int" },
  inotify_init1: { args: ["int"], returns: "int" },
  inotify_add_watch: { args: ["int", "ptr", "u32"], returns: "int" },
  inotify_rm_watch: { args: ["int", "int"], returns: "int" },
  clock_settime: { args: ["int", "ptr"], returns: "int" },
  uname: { args: ["ptr"], returns: "int" },
  sysinfo: { args: ["ptr"], returns: "int" },
  tcgetattr: { args: ["int", "ptr"], returns: "int" },
  tcsetattr: { args: ["int", "int", "ptr"], returns: "int" },
  tcflush: { args: ["int", "int"], returns: "int" },
  cfsetspeed: { args: ["ptr", "u32"], returns: "int" },
  rename: { args: ["ptr", "ptr"], returns: "int" },
  openat: { args: ["int", "ptr", "int", "int"], returns: "int" },
  mkdirat: { args: ["int", "ptr", "u32"], returns: "int" },
  renameat: { args: ["int", "ptr", "int", "ptr"], returns: "int" },
  unlinkat: { args: ["int", "ptr", "int"], returns: "int" },
  fchown: { args: ["int", "u32", "u32"], returns: "int" },
  setfsuid: { args: ["u32"], returns: "int" },
  setfsgid: { args: ["u32"], returns: "int" },
  getpwnam: { args: ["ptr"], returns: "ptr" },
  sethostname: { args: ["ptr", "usize"], returns: "int" },
  sync: { args: [], returns: "void" },
  reboot: { args: ["int"], returns: "int" },
  posix_spawn: { args: ["ptr", "ptr", "ptr", "ptr", "ptr", "ptr"], returns: "int" },
  posix_spawn_file_actions_init: { args: ["ptr"], returns: "int" },
  posix_spawn_file_actions_adddup2: { args: ["ptr", "int", "int"], returns: "int" },
  posix_spawn_file_actions_destroy: { args: ["ptr"], returns: "int" },
  posix_spawnattr_init: { args: ["ptr"], returns: "int" },
  posix_spawnattr_setflags: { args: ["ptr", "i16"], returns: "int" },
  posix_spawnattr_setsigmask: { args: ["ptr", "ptr"], returns: "int" },
  posix_spawnattr_setsigdefault: { args: ["ptr", "ptr"], returns: "int" },
  posix_spawnattr_destroy: { args: ["ptr"], returns: "int" },
  getrlimit: { args: ["int", "ptr"], returns: "int" },
  setrlimit: { args: ["int", "ptr"], returns: "int" },
  waitpid: { args: ["int", "ptr", "int"], returns: "int" },
  kill: { args: ["int", "int"], returns: "int" },
  syscall: { args: ["i64", "i64", "i64", "i64", "i64"], returns: FFIType.i64_fast },
  setsid: { args: [], returns: "int" },
  umask: { args: ["u32"], returns: "u32" },
  madvise: { args: ["ptr", "usize", "int"], returns: "int" },
} as const satisfies Record<string, FFIFunction>;

type Functions<Declared extends Record<string, FFIFunction>> = Library<Declared>["symbols"];

/** Binding a function costs as much as a system call or two: all of these wait for the first use of one. */
function boundWhenNeeded<Declared extends Record<string, FFIFunction>>(declared: Declared): Functions<Declared> {
  const bound = {} as Functions<Declared>;
  const bindAll = (): void => {
    const { symbols } = dlopen(LIBRARY, declared);
    for (const name in declared) Object.defineProperty(bound, name, { value: symbols[name] });
  };
  for (const name in declared) {
    Object.defineProperty(bound, name, {
      configurable: true,
      get() {
        bindAll();
        return bound[name];
      },
    });
  }
  return bound;
}

export const libc: Functions<typeof AT_START> & Functions<typeof WHEN_NEEDED> = Object.assign(
  Object.create(boundWhenNeeded(WHEN_NEEDED)),
  dlopen(LIBRARY, AT_START).symbols,
);

/** The calling thread's errno; the location never moves. */
const errnoLocation = libc.__errno_location() as Pointer;

/** errno of the call before this one. */
export const errno = (): number => read.i32(errnoLocation, 0);

/** The codes that the agent itself tells apart (errno(3), the values of x86 and arm64). */
export const EPERM = 1;
export const ENOENT = 2;
export const EINTR = 4;
export const EIO = 5;
export const EAGAIN = 11;
export const EBUSY = 16;
export const EINVAL = 22;
export const EPIPE = 32;
export const ELOOP = 40;
export const EOPNOTSUPP = 95;
export const ECONNRESET = 104;

/** The symbol of an error number: 2 is `ENOENT`. */
export function errnoName(code: number): string {
  // Only errors need the table.
  const { constants }: typeof import("node:os") = require("node:os");
  return Object.entries(constants.errno).find(([, value]) => value === code)?.[0] ?? `errno ${code}`;
}

/** `strerror(3)` in the words of the guest's own C library. */
export function errorText(code: number): string {
  return new CString(libc.strerror(code) as Pointer).toString();
}

/** A failed call as a typed error. */
export function systemError(call: string, code: number, subject?: string): SystemError {
  return new SystemError(call, errnoName(code), errorText(code), subject);
}

/** Passes a result on, or throws what errno says when it is -1. */
export function check(result: number, call: string, subject?: string): number {
  if (result === -1) throw systemError(call, errno(), subject);
  return result;
}

/** A NUL inside a string, as "modified UTF-8" has it: a call must not take what is before it for the whole. */
const OVERLONG_NUL = Buffer.from([0xc0, 0x80]);
const NUL = Buffer.from([0]);

/** A NUL-terminated UTF-8 string for a call. Keep the result referenced until the call is over. */
export function cstring(text: string): Uint8Array {
  if (!text.includes("\0")) return Buffer.from(`${text}\0`, "utf8");
  return Buffer.concat([
    ...text
      .split("\0")
      .flatMap((part) => [Buffer.from(part), OVERLONG_NUL])
      .slice(0, -1),
    NUL,
  ]);
}

/** An array of pointers to strings, ended by NULL, as argv and envp are. `keep` holds what it points to. */
export function cstringArray(texts: readonly string[]): {
  readonly array: BigUint64Array;
  readonly keep: Uint8Array[];
} {
  const keep = texts.map(cstring);
  const array = new BigUint64Array(texts.length + 1);
  keep.forEach((bytes, index) => {
    array[index] = BigInt(ptr(bytes));
  });
  return { array, keep };
}
