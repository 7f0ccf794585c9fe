/** Programs that a host has started, until it has asked how they ended. */
import type { ExitStatus, Guest } from "../guest.ts";
import { spent } from "../memory.ts";

/** Captured output of one stream; the rest of a longer one is dropped. */
const MAX_OUTPUT = 16 * 1024 * 1024;
const FIRST_ROOM = 4096;

export type Capture = "none" | "stdout" | "stderr" | "separated" | "merged";

export interface ExecRequest {
  readonly path: string;
  readonly args: readonly string[];
  readonly env?: readonly string[] | undefined;
  readonly input?: Uint8Array | undefined;
  readonly capture: Capture;
}

export interface Captured {
  readonly bytes: Buffer;
  readonly truncated: boolean;
}

export type ExecStatus =
  | { readonly exited: false }
  | {
      readonly exited: true;
      readonly status: ExitStatus;
      readonly stdout: Captured | undefined;
      readonly stderr: Captured | undefined;
    };

export interface Execs {
  /** @returns the process id. @throws SystemError */
  start(request: ExecRequest): number;
  /** The status; once it has been given as exited, the process is forgotten. undefined: no such process. */
  status(pid: number | bigint): ExecStatus | undefined;
}

interface Output {
  buffer: Buffer;
  length: number;
  truncated: boolean;
}

interface Running {
  readonly stdout: Output;
  readonly stderr: Output;
  ended: ExitStatus | undefined;
}

const STDOUT: Readonly<Record<Capture, "null" | "pipe">> = {
  none: "null",
  stdout: "pipe",
  stderr: "null",
  separated: "pipe",
  merged: "pipe",
};
const STDERR: Readonly<Record<Capture, "null" | "pipe" | "stdout">> = {
  none: "null",
  stdout: "null",
  stderr: "pipe",
  separated: "pipe",
  merged: "stdout",
};

const NOTHING = Buffer.alloc(0);
const emptyOutput = (): Output => ({ buffer: NOTHING, length: 0, truncated: false });

function append(output: Output, bytes: Uint8Array): void {
  const room = MAX_OUTPUT - output.length;
  const taken = bytes.byteLength > room ? bytes.subarray(0, room) : bytes;
  if (taken.byteLength < bytes.byteLength) output.truncated = true;
  const needed = output.length + taken.byteLength;
  if (needed > output.buffer.byteLength) {
    const larger = Buffer.allocUnsafe(Math.min(MAX_OUTPUT, Math.max(needed, output.buffer.byteLength * 2, FIRST_ROOM)));
    output.buffer.copy(larger, 0, 0, output.length);
    spent(output.buffer.byteLength);
    output.buffer = larger;
  }
  output.buffer.set(taken, output.length);
  output.length = needed;
}

const captured = (output: Output): Captured | undefined =>
  output.length === 0 ? undefined : { bytes: output.buffer.subarray(0, output.length), truncated: output.truncated };

export function createExecs(guest: Guest): Execs {
  const processes = new Map<number | bigint, Running>();
  return {
    start({ path, args, env, input, capture }) {
      const running: Running = { stdout: emptyOutput(), stderr: emptyOutput(), ended: undefined };
      const pid = guest.processes.spawn(
        { argv: [path, ...args], env, input, stdout: STDOUT[capture], stderr: STDERR[capture] },
        {
          output: (stream, bytes) => append(running[stream], bytes),
          ended: (status) => {
            running.ended = status;
          },
        },
      );
      processes.set(pid, running);
      return pid;
    },
    status(pid) {
      const running = processes.get(pid);
      if (running === undefined) return undefined;
      if (running.ended === undefined) return { exited: false };
      processes.delete(pid);
      spent(running.stdout.length + running.stderr.length);
      return {
        exited: true,
        status: running.ended,
        stdout: captured(running.stdout),
        stderr: captured(running.stderr),
      };
    },
  };
}
