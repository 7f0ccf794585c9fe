/**
 * Signals as events of a descriptor.
 *
 * signalfd(2) needs every thread to block the signal, and those that Bun starts before any script runs do not. A handler
 * cannot be JavaScript, so it is the few instructions that signal-safety(7) allows: it writes the signal's number into
 * a pipe.
 */
import { type Pointer, toBuffer } from "bun:ffi";
import { check, libc } from "./libc.ts";

const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const PROT_READ = 1;
const PROT_WRITE = 2;
const PROT_EXEC = 4;
const MAP_PRIVATE = 0x02;
const MAP_ANONYMOUS = 0x20;
const SA_RESTART = 0x10000000;

/** struct sigaction of both C libraries; zeroes after the handler mean an empty mask. */
const SIGACTION = { size: 152, handler: 0, flags: 136 };
/** What the handler writes: a little-endian int. */
const RECORD_SIZE = 4;

const littleEndian = (word: number): number[] => [0, 8, 16, 24].map((shift) => (word >>> shift) & 0xff);

/** `write(fd, &signal, 4)`, by the system call itself so that errno stays as it was. */
const HANDLERS: Partial<Record<NodeJS.Architecture, (fd: number) => Uint8Array>> = {
  x64: (fd) =>
    Uint8Array.of(
      ...[0x57], // push rdi: the signal's number, the first argument
      ...[0xb8, 0x01, 0x00, 0x00, 0x00], // mov eax, 1: write
      ...[0xbf, ...littleEndian(fd)], // mov edi, fd
      ...[0x48, 0x89, 0xe6], // mov rsi, rsp
      ...[0xba, RECORD_SIZE, 0x00, 0x00, 0x00], // mov edx, 4
      ...[0x0f, 0x05], // syscall
      ...[0x5f], // pop rdi
      ...[0xc3], // ret
    ),
  arm64: (fd) =>
    Uint8Array.of(
      ...littleEndian(0xd10043ff), // sub sp, sp, 16
      ...littleEndian(0xb90003e0), // str w0, [sp]: the signal's number, the first argument
      ...littleEndian(0x52800000 | (fd << 5)), // mov w0, fd
      ...littleEndian(0x910003e1), // mov x1, sp
      ...littleEndian(0xd2800002 | (RECORD_SIZE << 5)), // mov x2, 4
      ...littleEndian(0xd2800808), // mov x8, 64: write
      ...littleEndian(0xd4000001), // svc 0
      ...littleEndian(0x910043ff), // add sp, sp, 16
      ...littleEndian(0xd65f03c0), // ret
    ),
};

/** Puts code where it can be run, and never be written again. @throws SystemError */
function executable(code: Uint8Array): number {
  const page = Number(libc.mmap(null, code.byteLength, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  check(page, "mmap");
  toBuffer(page as Pointer, 0, code.byteLength).set(code);
  check(libc.mprotect(page as Pointer, code.byteLength, PROT_READ | PROT_EXEC), "mprotect");
  return page;
}

export interface SignalPipe {
  /** Becomes readable when a signal has come. */
  readonly fd: number;
  /** @returns the numbers of the signals that came since the last call */
  take(): number[];
}

/**
 * Catches signals for the rest of the process's life.
 * @param signals their numbers
 * @throws SystemError
 */
export function openSignalPipe(signals: readonly number[]): SignalPipe {
  const ends = new Int32Array(2);
  check(libc.pipe2(ends, O_NONBLOCK | O_CLOEXEC), "pipe2");
  const [reader = -1, writer = -1] = ends;
  const code = HANDLERS[process.arch]?.(writer);
  if (code === undefined) throw new Error(`no signal handler for ${process.arch}`);
  const action = Buffer.alloc(SIGACTION.size);
  action.writeBigUInt64LE(BigInt(executable(code)), SIGACTION.handler);
  action.writeInt32LE(SA_RESTART, SIGACTION.flags);
  for (const signal of signals) check(libc.sigaction(signal, action, null), "sigaction");
  const records = Buffer.alloc(RECORD_SIZE * 16);
  return {
    fd: reader,
    take() {
      const taken: number[] = [];
      for (;;) {
        const count = Number(libc.read(reader, records, records.byteLength));
        for (let at = 0; at < count; at += RECORD_SIZE) taken.push(records.readInt32LE(at));
        if (count < records.byteLength) return taken;
      }
    },
  };
}
