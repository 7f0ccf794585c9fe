/** Shell commands of a host that waits for their output. */
import { RequestError } from "../errors.ts";
import type { Guest, SpawnRequest } from "../guest.ts";

export interface ShellLimits {
  /** Milliseconds after which the command is killed, with all that it started. */
  readonly timeout: number;
  /** Bytes of output that are kept; the rest is dropped. */
  readonly output: number;
}

export const SHELL_LIMITS: ShellLimits = { timeout: 60_000, output: 16 * 1024 * 1024 };

const SHELLS: Readonly<Record<Guest["os"], readonly string[]>> = {
  linux: ["/bin/sh", "-c"],
  windows: ["cmd.exe", "/d", "/s", "/c"],
};

/** The words that run a command by the guest's shell. */
export const shellWords = (os: Guest["os"], command: string): SpawnRequest["argv"] => [...SHELLS[os], command];

/**
 * Runs a program to its end, however that turns out, without waiting for it here.
 * @returns what it printed on standard output as text; bytes that are not UTF-8 become U+FFFD
 * @throws RequestError when it was killed after its time limit; SystemError when it cannot be started
 */
export function outputOf(
  { processes }: Pick<Guest, "processes">,
  argv: SpawnRequest["argv"],
  { timeout, output }: ShellLimits = SHELL_LIMITS,
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const slices: Uint8Array[] = [];
  let kept = 0;
  processes.spawn(
    { argv, stdout: "pipe", stderr: "null", timeout },
    {
      output(_stream, bytes) {
        const slice = Uint8Array.from(bytes.subarray(0, output - kept));
        kept += slice.byteLength;
        slices.push(slice);
      },
      ended({ timedOut }) {
        if (timedOut) reject(new RequestError(`the command was killed after ${timeout / 1000} seconds`));
        else resolve(Buffer.concat(slices).toString("utf8"));
      },
    },
  );
  return promise;
}
