/** Shell commands in the guest, over a virtio port of their own: see `guest/shell`. */

import { type Finished, within } from "../lab/process.ts";
import { openSocket } from "../lab/qga-client.ts";

/** The connection to a guest's shell. */
export interface GuestShell {
  /** Resolves when the guest's shell has said that it is there. */
  ready: Promise<void>;
  /** Runs a command with the guest's `sh`. Commands run side by side. Throws only if no answer comes in time. */
  run(command: string, timeoutMs?: number): Promise<Finished>;
  close(): void;
}

/** Connects to the shell's socket. */
export async function connectShell(path: string): Promise<GuestShell> {
  const socket = await openSocket(path);
  const ready = Promise.withResolvers<void>();
  const running = new Map<string, PromiseWithResolvers<Finished>>();
  let counter = 0;
  let text = "";

  socket.setEncoding("latin1");
  socket.on("data", (chunk) => {
    const lines = (text + chunk).split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "ready") ready.resolve();
      const [id, code, stdout, stderr] = line.split(" ");
      const exitCode = Number(code);
      running.get(id ?? "")?.resolve({ exitCode, stdout: decode(stdout), stderr: decode(stderr) });
    }
  });
  const onEnd = (): void => {
    const error = new Error("QEMU has closed the connection to the guest's shell");
    ready.reject(error);
    for (const each of running.values()) each.reject(error);
  };
  // Nobody may be waiting when the connection ends; that is no failure of its own.
  ready.promise.catch(() => {});
  socket.on("error", onEnd);
  socket.on("close", onEnd);

  return {
    ready: ready.promise,
    async run(command, timeoutMs = 20_000) {
      const id = `c${counter++}`;
      const result = Promise.withResolvers<Finished>();
      running.set(id, result);
      socket.write(`${id} ${Buffer.from(`${command}\n`).toString("base64")}\n`);
      try {
        return await within(result.promise, timeoutMs, () => `in the guest, not done in ${timeoutMs} ms: ${command}`);
      } finally {
        running.delete(id);
      }
    },
    close: () => socket.destroy(),
  };
}

function decode(base64: string | undefined): string {
  return base64 === undefined || base64 === "-" ? "" : Buffer.from(base64, "base64").toString("utf8");
}
