/** What an agent takes of the guest's memory: idle, in a large transfer, and after it. */
import type { Client } from "../client.ts";
import { AGENTS, type Experiment, ratio, value } from "../experiment.ts";
import { type Memory, memoryOf, resetPeak } from "../process-facts.ts";
import { readRequest, writeRequest } from "./transfer.ts";

const LARGE = 48_000_000;
/** An agent may tidy up before it counts as idle. */
const SETTLE_MS = 2500;

const settled = async (pid: number): Promise<Memory> => {
  await Bun.sleep(SETTLE_MS);
  return memoryOf(pid);
};

interface Peak {
  /** Above what was resident before, in MB. */
  readonly resident: number;
  /** The same of anonymous memory, which the kernel cannot take back; looked at after each megabyte. */
  readonly anonymous: number;
}

function peakOf(client: Client, pid: number, idle: Memory, request: Buffer): Peak {
  resetPeak(pid);
  let anonymous = 0;
  client.ask(request, () => {
    anonymous = Math.max(anonymous, memoryOf(pid).anonymous);
  });
  return { resident: memoryOf(pid).peak - idle.resident, anonymous: Math.max(0, anonymous - idle.anonymous) };
}

const RESIDENT = { name: "idle: resident memory", unit: "MB", better: "lower" } as const;

const idleBesideBun: Experiment = {
  figures: { resident: { ...RESIDENT, name: "idle: resident, beside an empty Bun executable", target: ratio(1.1) } },
  subjects: ["waiting", "inguest", "qemu-ga"],
  rounds: 3,
  async sample(subject, lab) {
    if (subject.name === "waiting") {
      const child = Bun.spawn([...subject.command], { stdio: ["ignore", "ignore", "inherit"] });
      const { resident } = await settled(child.pid);
      child.kill("SIGKILL");
      await child.exited;
      return { resident };
    }
    const { pid, stop } = await lab.start(subject);
    const { resident } = await settled(pid);
    await stop();
    return { resident };
  },
};

const transfers: Experiment = {
  figures: {
    idle: { name: "idle: anonymous memory", unit: "MB", better: "lower", target: value(3) },
    read: { name: "peak above idle in a 48 MB read", unit: "MB", better: "lower", target: value(8) },
    readAnonymous: { name: "of which anonymous, read", unit: "MB", better: "lower" },
    write: { name: "peak above idle in a 48 MB write", unit: "MB", better: "lower", target: value(8) },
    writeAnonymous: { name: "of which anonymous, write", unit: "MB", better: "lower" },
    after: { name: "anonymous memory after both", unit: "MB", better: "lower" },
  },
  subjects: AGENTS,
  rounds: 3,
  async sample(subject, lab) {
    const { client, pid, stop } = await lab.start(subject);
    const source = client.call<number>("guest-file-open", { path: lab.data });
    const sink = client.call<number>("guest-file-open", { path: lab.output, mode: "w" });
    const idle = await settled(pid);
    const read = peakOf(client, pid, idle, readRequest(source, LARGE));
    const between = await settled(pid);
    const write = peakOf(client, pid, between, writeRequest(sink, LARGE));
    const after = await settled(pid);
    await stop();
    return {
      idle: idle.anonymous,
      read: read.resident,
      readAnonymous: read.anonymous,
      write: write.resident,
      writeAnonymous: write.anonymous,
      after: after.anonymous,
    };
  },
};

export const MEMORY: readonly Experiment[] = [idleBesideBun, transfers];
