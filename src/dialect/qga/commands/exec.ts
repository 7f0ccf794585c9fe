/** guest-exec: programs started by the host. */
import { decodeBase64, decodedRoom } from "../../../framing/base64.ts";
import { SystemError } from "../../../guest.ts";
import { command } from "../command.ts";
import { QgaError } from "../errors.ts";
import { alternate, boolean, enumeration, int64, list, optional, string, struct } from "../wire.ts";

const CAPTURES = ["none", "stdout", "stderr", "separated", "merged"] as const;

/** Decodes standard input. @throws Base64Error */
function decodeInput(base64: string): Uint8Array {
  const bytes = Buffer.allocUnsafe(decodedRoom(base64.length));
  return bytes.subarray(0, decodeBase64(base64, bytes));
}

export const exec = command({
  name: "guest-exec",
  since: "2.5",
  summary:
    "Starts a program, found in PATH when it has no slash, without a shell; guest-exec-status tells how it ended. " +
    "Up to 16 MiB of each stream are captured.",
  arguments: {
    path: string,
    arg: optional(list(string)),
    env: optional(list(string)),
    "input-data": optional(string),
    "capture-output": optional(alternate("GuestExecCaptureOutput", { boolean, string: enumeration(CAPTURES) })),
  },
  returns: struct({ pid: int64 }),
  run({ path, arg = [], env, "input-data": inputData, "capture-output": wanted = false }, { execs, log }) {
    // The path alone: arguments may be secrets.
    log.account(`guest-exec called: "${path}"`);
    const input = inputData === undefined ? undefined : decodeInput(inputData);
    const capture = typeof wanted === "string" ? wanted : wanted ? "separated" : "none";
    try {
      return { pid: execs.start({ path, args: arg, env, input, capture }) };
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      throw new QgaError(`Failed to execute child process “${path}” (${error.reason})`);
    }
  },
});

export const execStatus = command({
  name: "guest-exec-status",
  since: "2.5",
  summary:
    "Tells whether a program has ended, and then, once, how and what it printed; `signal` when a signal ended it. " +
    "It has ended only when its output is complete.",
  arguments: { pid: int64 },
  returns: struct({
    exited: boolean,
    exitcode: optional(int64),
    signal: optional(int64),
    "out-data": optional(string),
    "err-data": optional(string),
    "out-truncated": optional(boolean),
    "err-truncated": optional(boolean),
  }),
  run({ pid }, { execs }) {
    const found = execs.status(pid);
    if (found === undefined) throw new QgaError(`PID ${pid} does not exist`);
    if (!found.exited) return { exited: false };
    const { status, stdout, stderr } = found;
    return {
      exited: true,
      exitcode: status.exitCode,
      signal: status.signal,
      "out-data": stdout?.bytes.toString("base64"),
      "out-truncated": stdout?.truncated,
      "err-data": stderr?.bytes.toString("base64"),
      "err-truncated": stderr?.truncated,
    };
  },
});
