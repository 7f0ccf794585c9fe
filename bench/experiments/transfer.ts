/** Files through an agent: bytes per second, and what they cost the guest's processor. */
import { type Client, requestBytes } from "../client.ts";
import { AGENTS, type Experiment, type Figure, median, ratio, repeat } from "../experiment.ts";
import { DATA_BYTES, type Lab } from "../lab.ts";
import { cpuSeconds } from "../process-facts.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

interface Transfer {
  readonly label: string;
  readonly bytes: number;
  /** Ratios of bytes per second. */
  readonly read: number;
  readonly write: number;
}

const TRANSFERS: readonly Transfer[] = [
  { label: "4 KiB", bytes: 4 * KIB, read: 2, write: 3.5 },
  { label: "64 KiB", bytes: 64 * KIB, read: 5, write: 14 },
  { label: "1 MiB", bytes: MIB, read: 11, write: 20 },
  { label: "16 MiB", bytes: 16 * MIB, read: 14, write: 22 },
  // As base64, 48 MiB would be more than a message may have.
  { label: "48 MB", bytes: 48_000_000, read: 14, write: 22 },
];

/** Processor time is measured at this size: an agent's slices are not longer, and a message costs little. */
const CPU_AT = "1 MiB";

export const readRequest = (handle: number, bytes: number): Buffer =>
  requestBytes("guest-file-read", { handle, count: bytes });
export const writeRequest = (handle: number, bytes: number): Buffer =>
  requestBytes("guest-file-write", { handle, "buf-b64": Buffer.alloc(bytes, "qwertyuiop").toString("base64") });

const openFor = {
  read: (client: Client, lab: Lab) => client.call<number>("guest-file-open", { path: lab.data }),
  write: (client: Client, lab: Lab) => client.call<number>("guest-file-open", { path: lab.output, mode: "w" }),
} as const;

const transfer = (kind: "read" | "write", { label, bytes, [kind]: bound }: Transfer): Experiment => {
  const figures: Record<string, Figure> = {
    rate: { name: `guest-file-${kind} ${label}`, unit: "MB/s", better: "higher", target: ratio(bound) },
  };
  if (label === CPU_AT) {
    figures.cpu = {
      name: `processor time of guest-file-${kind} (${label})`,
      unit: "s/GB",
      better: "lower",
      target: ratio(kind === "read" ? 0.25 : 0.1),
    };
  }
  return {
    figures,
    subjects: AGENTS,
    async sample(subject, lab) {
      const { client, pid } = await lab.server(subject);
      const handle = openFor[kind](client, lab);
      const request = (kind === "read" ? readRequest : writeRequest)(handle, bytes);
      const rewind = requestBytes("guest-file-seek", { handle, offset: 0, whence: 0 });
      let position = 0;
      let asked = 0;
      const cpuBefore = cpuSeconds(pid);
      const taken = repeat(lab.budget, () => {
        // The file ends, and memory too: from there it goes on at the beginning, as part of the work.
        if (position + bytes > DATA_BYTES) {
          client.ask(rewind);
          position = 0;
        }
        client.ask(request);
        position += bytes;
        asked++;
      });
      const cpu = cpuSeconds(pid) - cpuBefore;
      client.call("guest-file-close", { handle });
      const milliseconds = taken.reduce((total, one) => total + one, 0);
      const total = asked * bytes;
      return { rate: total / 1e6 / (milliseconds / 1000), cpu: cpu / (total / 1e9) };
    },
  };
};

const FIRST_BYTE_REPEATS = 3;

const firstByte: Experiment = {
  figures: {
    time: { name: "first byte of a 16 MiB read", unit: "ms", better: "lower", target: ratio(0.05) },
  },
  subjects: AGENTS,
  async sample(subject, lab) {
    const { client } = await lab.server(subject);
    const handle = openFor.read(client, lab);
    const request = readRequest(handle, 16 * MIB);
    const taken = Array.from({ length: FIRST_BYTE_REPEATS }, () => client.firstByte(request));
    client.call("guest-file-close", { handle });
    return { time: median(taken) };
  },
};

export const TRANSFER: readonly Experiment[] = [
  ...TRANSFERS.map((size) => transfer("read", size)),
  ...TRANSFERS.map((size) => transfer("write", size)),
  firstByte,
];
