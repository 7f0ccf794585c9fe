/** System calls of a running process, seen by strace(1). */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dieWithParent, waitFor } from "../lab/process.ts";

/** One call of one thread. */
export interface SystemCall {
  thread: number;
  name: string;
  /** The rest of the line: arguments with the paths of descriptors (`3</etc/passwd>`) and, when it is over, the result. */
  args: string;
}

/** The calls that a process and all its threads begin while `action` lasts. */
export async function trace(pid: number, action: () => Promise<void>): Promise<SystemCall[]> {
  const folder = await mkdtemp(join(tmpdir(), "inguest-trace-"));
  const path = join(folder, "calls");
  const errors = join(folder, "errors");
  try {
    const options = ["-f", "-y", "-s", "64", "-o", path, "-p", String(pid)];
    const strace = Bun.spawn([...dieWithParent, "strace", ...options], { stdout: "ignore", stderr: Bun.file(errors) });
    await waitFor(
      async () => /attached/.test(await Bun.file(errors).text()) || undefined,
      5000,
      async () => `strace is not attached: ${await Bun.file(errors).text()}`,
    );
    await action();
    strace.kill("SIGINT");
    await strace.exited;
    return parseTrace(await Bun.file(path).text());
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Lines of `strace -f -o`; the second half of a call that was interrupted by another thread's is left out. */
export function parseTrace(text: string): SystemCall[] {
  return text.split("\n").flatMap((line) => {
    const [, thread, name, args] = /^(\d+)\s+(\w+)\((.*)$/.exec(line) ?? [];
    return thread === undefined || name === undefined ? [] : [{ thread: Number(thread), name, args: args ?? "" }];
  });
}
