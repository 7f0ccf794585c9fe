/** Failed programs in the words of the QEMU guest agent. */
import { ProgramError, SystemError } from "../../guest.ts";
import { QgaError } from "./errors.ts";

/**
 * A failed program as an error for the host; other errors are given back as they are.
 * @param action completes "has failed to"
 */
export function programFailed(action: string, error: unknown): unknown {
  if (!(error instanceof ProgramError)) return error;
  const { program, failure, output } = error;
  // A child of qemu-ga prints this with perror(3), hence the line's end.
  const printed = failure instanceof SystemError ? `failed to exec '${program}': ${failure.reason}\n` : output;
  const why = printed === "" ? "" : `: ${printed}`;
  if (failure instanceof SystemError) return new QgaError(`child process has failed to ${action}${why}`);
  if (failure.timedOut) return new QgaError(`child process has failed to ${action}: killed after its time limit${why}`);
  if (failure.exitCode === undefined) return new QgaError(`child process has terminated abnormally${why}`);
  return new QgaError(`child process has failed to ${action}${why || `: exit status ${failure.exitCode}`}`);
}
