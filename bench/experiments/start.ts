/** From the start of the program to its first answer. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, connect } from "../client.ts";
import { type Experiment, median, ratio } from "../experiment.ts";
import type { Subject } from "../lab.ts";
import { libc, spawnRaw } from "../libc.ts";

const REPEATS = 5;
const PATIENCE_MS = 10_000;
const POLL_US = 50;

/** Milliseconds until it has ended. */
function runTime({ command }: Subject): number {
  const begin = performance.now();
  spawnRaw(command).wait();
  return performance.now() - begin;
}

function connectSoon(path: string, deadline: number): Client {
  for (;;) {
    try {
      return connect(path);
    } catch (error) {
      if (performance.now() > deadline) throw error;
      libc.usleep(POLL_US);
    }
  }
}

/** Milliseconds until it has answered a ping. */
function firstAnswer({ command }: Subject): number {
  const folder = mkdtempSync(join(tmpdir(), "inguest-start-"));
  const socket = join(folder, "socket");
  const begin = performance.now();
  const child = spawnRaw([...command, "-m", "unix-listen", "-p", socket, "-t", folder]);
  try {
    const client = connectSoon(socket, begin + PATIENCE_MS);
    client.call("guest-ping");
    const taken = performance.now() - begin;
    client.close();
    return taken;
  } finally {
    process.kill(child.pid, "SIGKILL");
    child.wait();
    rmSync(folder, { recursive: true });
  }
}

export const START: readonly Experiment[] = [
  {
    figures: {
      time: {
        name: "start to first answer, beside an empty Bun executable's run",
        unit: "ms",
        better: "lower",
        target: ratio(1.3),
      },
    },
    subjects: ["empty", "inguest", "qemu-ga"],
    unpinned: true,
    async sample(subject) {
      const once = subject.name === "empty" ? runTime : firstAnswer;
      const taken = Array.from({ length: REPEATS }, () => once(subject));
      return { time: median(taken) };
    },
  },
];
