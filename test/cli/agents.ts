/** `inguest ctl` as tests run it, against each of the agents that it has to get on with. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inguestCommand, type RunningAgent, startAgent } from "../lab/agent.ts";
import { obtainPeer } from "../lab/peer.ts";
import { type Finished, run } from "../lab/process.ts";

export interface AgentKind {
  readonly name: "inguest" | "qemu-ga";
  /** The words of the command line before the agent's own options. */
  readonly command: readonly string[];
}

/** Ours, and the real one. */
export const agentKinds = async (): Promise<readonly AgentKind[]> => [
  { name: "inguest", command: inguestCommand },
  { name: "qemu-ga", command: (await obtainPeer()).command },
];

export const ctlCommand = (...args: readonly string[]): string[] => [...inguestCommand, "ctl", ...args];

export const ctl = (...args: readonly string[]): Promise<Finished> => run(ctlCommand(...args), { timeoutMs: 60_000 });

export const newFolder = (): string => mkdtempSync(join(tmpdir(), "inguest-ctl-"));

export interface AgentAtSocket {
  readonly socket: string;
  readonly agent: RunningAgent;
  /** Runs `inguest ctl` against it. */
  ctl(...args: readonly string[]): Promise<Finished>;
}

/** Starts an agent on a socket in a folder. @param args more options of the agent */
export async function startAt(folder: string, { name, command }: AgentKind, ...args: string[]): Promise<AgentAtSocket> {
  const socket = join(folder, `${name}.sock`);
  const agent = await startAgent(command, { socketPath: socket, stateDir: join(folder, `${name}.state`), args });
  return { socket, agent, ctl: (...words) => ctl("--socket", socket, ...words) };
}
