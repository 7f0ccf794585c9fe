/** The calls of the C library that the bench makes, and its share of the machine. */
import { dlopen, FFIType, ptr } from "bun:ffi";
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";

export const { symbols: libc } = dlopen("libc.so.6", {
  socket: { args: ["int", "int", "int"], returns: "int" },
  connect: { args: ["int", "ptr", "u32"], returns: "int" },
  bind: { args: ["int", "ptr", "u32"], returns: "int" },
  listen: { args: ["int", "int"], returns: "int" },
  accept: { args: ["int", "ptr", "ptr"], returns: "int" },
  read: { args: ["int", "ptr", "usize"], returns: FFIType.i64_fast },
  send: { args: ["int", "ptr", "usize", "int"], returns: FFIType.i64_fast },
  poll: { args: ["ptr", "u64", "int"], returns: "int" },
  close: { args: ["int"], returns: "int" },
  posix_spawn: { args: ["ptr", "cstring", "ptr", "ptr", "ptr", "ptr"], returns: "int" },
  waitpid: { args: ["int", "ptr", "int"], returns: "int" },
  usleep: { args: ["u32"], returns: "int" },
  sched_setaffinity: { args: ["int", "usize", "ptr"], returns: "int" },
  getrlimit: { args: ["int", "ptr"], returns: "int" },
  setrlimit: { args: ["int", "ptr"], returns: "int" },
});

const AF_UNIX = 1;
const SUN_PATH = 108;

/** struct sockaddr_un (unix(7)). */
export function unixAddress(path: string): Buffer {
  const address = Buffer.alloc(2 + SUN_PATH);
  address.writeUInt16LE(AF_UNIX, 0);
  address.write(path, 2);
  return address;
}

/** @returns a stream socket of the unix family */
export const unixSocket = (): number => libc.socket(AF_UNIX, 1, 0);

/** Whether client and server can have a processor each. */
export const canPin = availableParallelism() > 1;

export type Cores = "server" | "client" | "all";
const MASKS: Readonly<Record<Cores, bigint>> = { server: 1n, client: 2n, all: 2n ** 64n - 1n };

const setAffinity = (thread: number, cores: Cores): void => {
  libc.sched_setaffinity(thread, 8, new BigUint64Array([canPin ? MASKS[cores] : MASKS.all]));
};

/** Puts all threads of this process on those processors. */
export function moveTo(cores: Cores): void {
  for (const thread of readdirSync("/proc/self/task")) setAffinity(Number(thread), cores);
}

/** Runs something whose children start on other processors than this process runs on. */
export function startingOn<T>(cores: Cores, action: () => T): T {
  setAffinity(0, cores);
  try {
    return action();
  } finally {
    setAffinity(0, cores === "all" ? "all" : "client");
  }
}

const RLIMIT_NOFILE = 7;

/** Allows this process and its children as many open files as it may allow. */
export function raiseFileLimit(): void {
  const limits = new BigUint64Array(2);
  libc.getrlimit(RLIMIT_NOFILE, limits);
  limits[0] = limits[1] ?? 0n;
  libc.setrlimit(RLIMIT_NOFILE, limits);
}

/** A null-terminated array of C strings; `texts` must outlive its use. */
const pointers = (texts: readonly Buffer[]): BigUint64Array =>
  BigUint64Array.from([...texts.map((text) => BigInt(ptr(text))), 0n]);
const cstrings = (texts: readonly string[]): Buffer[] => texts.map((text) => Buffer.from(`${text}\0`));

/** A program that was started with as little around it as possible, so that its start can be measured. */
export interface RawChild {
  readonly pid: number;
  /** Blocks until it has ended. */
  wait(): void;
}

/** @throws Error when it cannot be started */
export function spawnRaw(command: readonly string[]): RawChild {
  const argv = cstrings(command);
  const env = cstrings(Object.entries(process.env).map(([name, value]) => `${name}=${value}`));
  const pid = new Int32Array(1);
  const [program = Buffer.of(0)] = argv;
  const error = libc.posix_spawn(pid, program, null, null, pointers(argv), pointers(env));
  if (error !== 0) throw new Error(`${command[0]} cannot be started: error ${error}`);
  const child = pid[0] ?? 0;
  return { pid: child, wait: () => void libc.waitpid(child, null, 0) };
}
