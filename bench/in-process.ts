/** Parts of the agent without processes and sockets around them: tinybench, and an agent whose host is a sink. */
import { Bench } from "tinybench";
import { guest } from "../platform/linux/guest.ts";
import type { Agent } from "../src/agent.ts";
import { createExecs } from "../src/capability/exec.ts";
import { createFileHandles } from "../src/capability/files.ts";
import { createFreeze } from "../src/capability/fsfreeze.ts";
import { createOutbox } from "../src/channel/outbox.ts";
import { resolveConfig } from "../src/config/config.ts";
import { createQgaSession } from "../src/dialect/qga/session.ts";
import type { Port } from "../src/guest.ts";
import { createLog } from "../src/log.ts";

export interface Case {
  readonly name: string;
  /** Bytes of payload that one run moves; left out where time is all that counts. */
  readonly bytes?: number;
  run(): void;
}

export interface Timing {
  readonly name: string;
  readonly microseconds: number;
  readonly megabytesPerSecond?: number;
}

/**
 * Runs the cases one after the other.
 * @param budget milliseconds for each
 */
export async function timings(cases: readonly Case[], budget: number): Promise<Timing[]> {
  const bench = new Bench({ time: budget, warmupTime: budget / 4, iterations: 3, warmupIterations: 1, throws: true });
  for (const { name, run } of cases) bench.add(name, run);
  await bench.run();
  return cases.map(({ name, bytes }, index) => {
    const result = bench.tasks[index]?.result;
    if (result === undefined || !("latency" in result)) throw new Error(`${name} was not run`);
    const milliseconds = result.latency.p50;
    const rate = bytes === undefined ? {} : { megabytesPerSecond: bytes / 1e3 / milliseconds };
    return { name, microseconds: milliseconds * 1000, ...rate };
  });
}

/** An agent whose host has an answer for nothing. */
export interface SilentHost {
  /** Gives the agent a request; the reply has been made when this returns. */
  send(request: Buffer): void;
  /** How the reply to the last request begins. */
  readonly reply: string;
}

const BEGINNING = 64;

export function silentHost(): SilentHost {
  const config = resolveConfig([], { paths: guest.paths, ports: guest.ports.defaults, activated: undefined });
  const log = createLog(guest, config);
  const freeze = createFreeze({ guest, config, log });
  let nextHandle = 1;
  const agent: Agent = {
    guest,
    config,
    log,
    freeze,
    files: createFileHandles(
      guest,
      () => nextHandle++,
      () => freeze.frozen,
    ),
    execs: createExecs(guest),
  };
  let reply = "";
  const port: Port = {
    persistent: true,
    drained: true,
    watch: () => {},
    read: () => 0,
    write(from, start, end) {
      if (reply === "")
        reply = Buffer.from(from.buffer, from.byteOffset + start, Math.min(end - start, BEGINNING)).toString();
      return end - start;
    },
    attended: () => true,
    close: () => {},
  };
  const outbox = createOutbox(port);
  const session = createQgaSession(agent, outbox, () => {});
  return {
    send(request) {
      reply = "";
      session.push(request, 0, request.byteLength);
      outbox.flush();
    },
    get reply() {
      return reply;
    },
  };
}

export const printTimings = (title: string, rows: readonly Timing[]): void => {
  console.log(`\n${title}`);
  for (const { name, microseconds, megabytesPerSecond } of rows) {
    const rate = megabytesPerSecond === undefined ? "" : `${megabytesPerSecond.toFixed(0)} MB/s`;
    console.log(`  ${name.padEnd(44)}${`${microseconds.toFixed(2)} µs`.padStart(16)}${rate.padStart(14)}`);
  }
};

/** Milliseconds for each case when a file is run by itself. */
export const OWN_BUDGET = 500;
