/** Runs a program to its end for a host that wants nothing but what it prints. */
import { type ExitStatus, type Guest, SystemError } from "../guest.ts";
import { spent } from "../memory.ts";

export interface CommandOutput {
  /** Standard output, without the newline at its end; bytes that are not UTF-8 become U+FFFD. */
  readonly text: string;
  readonly status: ExitStatus;
}

/** Output without its last newline. */
const withoutNewline = (text: string): string => text.replace(/\r?\n$/, "");

/**
 * @param limits seconds after which the program is killed, with all it has started; MiB of output, of which the rest is
 * dropped
 * @throws SystemError when it cannot be started
 */
export function commandOutput(
  guest: Guest,
  argv: readonly string[],
  limits: { readonly seconds: number; readonly mebibytes: number },
): Promise<CommandOutput> {
  const { promise, resolve, reject } = Promise.withResolvers<CommandOutput>();
  const slices: Uint8Array[] = [];
  let length = 0;
  const longest = limits.mebibytes * 1024 * 1024;
  try {
    guest.processes.spawn(
      { argv, stdout: "pipe", stderr: "null", timeout: limits.seconds * 1000 },
      {
        output(_stream, bytes) {
          if (length === longest) return;
          const slice = Uint8Array.from(bytes.subarray(0, longest - length));
          length += slice.byteLength;
          slices.push(slice);
        },
        ended(status) {
          const text = withoutNewline(Buffer.concat(slices, length).toString("utf8"));
          spent(length * 2);
          resolve({ text, status });
        },
      },
    );
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    reject(error);
  }
  return promise;
}
