/** Standard output of the subcommands. */
import { writeFileSync } from "node:fs";

const STANDARD_OUTPUT = 1;

const isBrokenPipe = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "EPIPE";

/** Writes all of it before it comes back. Nobody needs to read it: `inguest --help | head` is no failure. */
export function print(text: string): void {
  try {
    writeFileSync(STANDARD_OUTPUT, text);
  } catch (error) {
    if (!isBrokenPipe(error)) throw error;
  }
}
