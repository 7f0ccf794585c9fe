/**
 * Shows that the client is not the bottleneck: it measures a server that does no work, with the same calls as an agent.
 *
 * The server reads nothing of what it gets: after so many bytes it sends a reply that was made before.
 */

import { ptr } from "bun:ffi";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dieWithParent } from "../test/lab/process.ts";
import { type Client, connect, requestBytes } from "./client.ts";
import { median, repeat } from "./experiment.ts";
import { pingLatency, pipelined } from "./experiments/latency.ts";
import { readRequest, writeRequest } from "./experiments/transfer.ts";
import { libc, moveTo, startingOn, unixAddress, unixSocket } from "./libc.ts";

const MIB = 1024 * 1024;
const AT_ONCE = MIB;
const LINE_FEED = 0x0a;
/** Replies to a batch of requests are sent together. */
const TOGETHER = 4096;

/** Never returns before its host goes. */
function serve(path: string, requestSize: number, replySize: number): void {
  const listener = unixSocket();
  const address = unixAddress(path);
  if (libc.bind(listener, address, address.byteLength) !== 0 || libc.listen(listener, 1) !== 0) process.exit(1);
  const fd = libc.accept(listener, null, null);
  const incoming = Buffer.alloc(AT_ONCE);
  const incomingPointer = ptr(incoming);
  const reply = Buffer.alloc(replySize, "A");
  reply[replySize - 1] = LINE_FEED;
  const replies = replySize > TOGETHER ? reply : Buffer.concat(Array.from({ length: TOGETHER }, () => reply));
  for (let received = 0; ; ) {
    const count = Number(libc.read(fd, incomingPointer, AT_ONCE));
    if (count <= 0) return;
    received += count;
    let due = Math.floor(received / requestSize) * replySize;
    received %= requestSize;
    while (due > 0) {
      const sent = Number(libc.send(fd, ptr(replies), Math.min(due, replies.byteLength), 0));
      if (sent <= 0) return;
      due -= sent;
    }
  }
}

export interface Ceiling {
  /** That of the figure in the table. */
  readonly name: string;
  readonly unit: "µs" | "1/s" | "MB/s";
  readonly value: number;
}

interface Probe extends Omit<Ceiling, "value"> {
  readonly request: number;
  readonly reply: number;
  measure(client: Client, budget: number): number;
}

const FRAME = 64;
const HANDLE = 1000;

function transfer(kind: "read" | "write", label: string, bytes: number): Probe {
  const request = (kind === "read" ? readRequest : writeRequest)(HANDLE, bytes);
  return {
    name: `guest-file-${kind} ${label}`,
    unit: "MB/s",
    request: request.byteLength,
    reply: kind === "read" ? Math.ceil(bytes / 3) * 4 + FRAME : FRAME,
    measure: (client, budget) => bytes / 1e3 / median(repeat(budget, () => client.ask(request))),
  };
}

const ping = { request: requestBytes("guest-ping").byteLength, reply: '{"return": {}}\n'.length };

const PROBES: readonly Probe[] = [
  { name: "guest-ping", unit: "µs", ...ping, measure: pingLatency },
  { name: "pipelined pings", unit: "1/s", ...ping, measure: pipelined },
  transfer("read", "4 KiB", 4096),
  transfer("read", "1 MiB", MIB),
  transfer("read", "48 MB", 48_000_000),
  transfer("write", "4 KiB", 4096),
  transfer("write", "1 MiB", MIB),
  transfer("write", "48 MB", 48_000_000),
];

async function probe({ name, unit, request, reply, measure }: Probe, budget: number): Promise<Ceiling> {
  const folder = mkdtempSync(join(tmpdir(), "inguest-ceiling-"));
  const socket = join(folder, "socket");
  const words = [process.execPath, import.meta.path, socket, String(request), String(reply)];
  const child = startingOn("server", () =>
    Bun.spawn([...dieWithParent, ...words], { stdio: ["ignore", "ignore", "inherit"] }),
  );
  try {
    let client: Client | undefined;
    for (let attempt = 0; client === undefined && attempt < 500; attempt++) {
      await Bun.sleep(10);
      try {
        client = connect(socket);
      } catch {
        // It does not listen yet.
      }
    }
    if (client === undefined) throw new Error("the server without work does not start");
    measure(client, budget / 4);
    const value = measure(client, budget);
    client.close();
    return { name, unit, value };
  } finally {
    child.kill("SIGKILL");
    await child.exited;
    rmSync(folder, { recursive: true });
  }
}

/** @param budget milliseconds for each */
export async function ceilings(budget: number): Promise<Ceiling[]> {
  const found: Ceiling[] = [];
  for (const each of PROBES) found.push(await probe(each, budget));
  return found;
}

if (import.meta.main) {
  const [path, requestSize, replySize] = process.argv.slice(2);
  if (path !== undefined) serve(path, Number(requestSize), Number(replySize));
  else {
    moveTo("client");
    for (const { name, unit, value } of await ceilings(500)) console.log(name.padEnd(24), value.toFixed(1), unit);
  }
}
