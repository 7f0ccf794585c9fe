/** Errors as the QEMU guest agent words them. */
import { RequestError } from "../../errors.ts";
import { ProgramError, SystemError } from "../../guest.ts";

export type ErrorClass = "GenericError" | "CommandNotFound";

/** An error that is sent to the host as it is. */
export class QgaError extends RequestError {
  override name = "QgaError";

  constructor(
    readonly description: string,
    readonly errorClass: ErrorClass = "GenericError",
  ) {
    super(description);
  }
}

/** Does it, and words a failed system call as `open("/a/path"): No such file or directory`. */
export function quotingCalls<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const { call, subject, reason } = error;
    throw new QgaError(`${call}${subject === undefined ? "" : `("${subject}")`}: ${reason}`);
  }
}

/** Waits for a program that was run to `action`; when it failed, says so as qemu-ga does, with what it printed. */
export async function quotingProgram<T>(action: string, running: Promise<T>): Promise<T> {
  try {
    return await running;
  } catch (error) {
    if (!(error instanceof ProgramError)) throw error;
    const { failure, output, program } = error;
    if (failure instanceof SystemError) {
      throw new QgaError(`child process has failed to ${action}: failed to exec '${program}': ${failure.reason}\n`);
    }
    if (failure.timedOut) {
      throw new QgaError(
        `child process has failed to ${action}: killed after its time limit${output && `: ${output}`}`,
      );
    }
    if (failure.exitCode === undefined) {
      throw new QgaError(`child process has terminated abnormally${output === "" ? "" : `: ${output}`}`);
    }
    throw new QgaError(`child process has failed to ${action}: ${output || `exit status ${failure.exitCode}`}`);
  }
}
