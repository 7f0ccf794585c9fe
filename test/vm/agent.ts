/** The compiled agent, for a guest. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { mustRun } from "../lab/process.ts";
import { agentPort, type VmOptions } from "./vm.ts";

const root = join(import.meta.dir, "../..");

/** Where the agent is in the guest. */
export const agentPath = "/usr/bin/inguest";

/** Path of the executable for this machine's Linux: `$INGUEST_EXECUTABLE`, else that of `npm run build`, built if missing. */
export async function compiledAgent(): Promise<string> {
  const given = process.env.INGUEST_EXECUTABLE;
  if (given !== undefined) return given;
  const path = join(root, "dist/inguest-linux-x64");
  if (!existsSync(path)) {
    const build = [process.execPath, "run", "build.ts", "--target", "linux-x64"];
    await mustRun(build, { cwd: root, timeoutMs: 300_000 });
  }
  return path;
}

/** Options for a guest in which the agent runs, with more words for its command line. */
export async function agentInGuest(
  ...options: readonly string[]
): Promise<Required<Pick<VmOptions, "executables" | "agentCommand">>> {
  return {
    executables: [{ from: await compiledAgent(), to: agentPath }],
    agentCommand: [agentPath, "-p", `/dev/virtio-ports/${agentPort}`, "-t", "/run", ...options],
  };
}
