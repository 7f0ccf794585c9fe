/** Standard output of the subcommands. */
const STANDARD_OUTPUT = 1;
const RETRY_MS = 2;

const codeOf = (error: unknown): unknown => (error instanceof Error && "code" in error ? error.code : undefined);

/**
 * Writes all of it before it comes back, waiting for a pipe that is full.
 * @param position where in the file; left out for a pipe or a terminal
 */
export function writeFully(descriptor: number, bytes: Uint8Array, position?: number): void {
  // The agent does without this module.
  const { writeSync }: typeof import("node:fs") = require("node:fs");
  for (let at = 0; at < bytes.byteLength; ) {
    try {
      at += writeSync(descriptor, bytes, at, bytes.byteLength - at, position === undefined ? null : position + at);
    } catch (error) {
      // Somebody else may have made the pipe a non-blocking one.
      if (codeOf(error) !== "EAGAIN") throw error;
      Bun.sleepSync(RETRY_MS);
    }
  }
}

/** Writes all of it. Nobody needs to read it: `inguest --help | head` is no failure. */
export function print(text: string): void {
  try {
    writeFully(STANDARD_OUTPUT, Buffer.from(text));
  } catch (error) {
    if (codeOf(error) !== "EPIPE") throw error;
  }
}
