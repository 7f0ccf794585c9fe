/** What reading and writing a file costs without a socket: system calls, base64 and the reply. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requestBytes } from "./client.ts";
import { readRequest, writeRequest } from "./experiments/transfer.ts";
import {
  type Case,
  OWN_BUDGET,
  printTimings,
  type SilentHost,
  silentHost,
  type Timing,
  timings,
} from "./in-process.ts";

const KIB = 1024;
const SIZES: readonly (readonly [label: string, bytes: number])[] = [
  ["4 KiB", 4 * KIB],
  ["64 KiB", 64 * KIB],
  ["1 MiB", 1024 * KIB],
  ["16 MiB", 16 * 1024 * KIB],
  ["48 MB", 48_000_000],
];

function open(host: SilentHost, path: string, mode: string): number {
  host.send(requestBytes("guest-file-open", { path, mode }));
  const handle = Number(/"return": (\d+)/.exec(host.reply)?.[1]);
  if (Number.isNaN(handle)) throw new Error(`${path}: ${host.reply}`);
  return handle;
}

/** @param budget milliseconds for each */
export async function fileTimings(budget: number): Promise<Timing[]> {
  const folder = mkdtempSync(join(tmpdir(), "inguest-bench-"));
  try {
    const path = join(folder, "data");
    writeFileSync(path, Buffer.alloc(48_000_000, "The quick brown fox. "));
    const host = silentHost();
    const source = open(host, path, "r");
    const sink = open(host, "/dev/null", "w");
    const rewind = requestBytes("guest-file-seek", { handle: source, offset: 0, whence: 0 });
    const reads = SIZES.map(([label, bytes]): Case => {
      const request = readRequest(source, bytes);
      return {
        name: `file-read ${label}`,
        bytes,
        run() {
          host.send(rewind);
          host.send(request);
        },
      };
    });
    const writes = SIZES.map(([label, bytes]): Case => {
      const request = writeRequest(sink, bytes);
      return { name: `file-write ${label}, to /dev/null`, bytes, run: () => host.send(request) };
    });
    return await timings([...reads, ...writes], budget);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (import.meta.main) printTimings("In process", await fileTimings(OWN_BUDGET));
