/** A guest with our agent and the real one side by side, to ask both the same. */

import { obtainPeer } from "../lab/peer.ts";
import type { Json, QgaClient } from "../lab/qga-client.ts";
import { agentInGuest } from "./agent.ts";
import { peerFiles, peerInGuest } from "./image.ts";
import { agentPort, startVm, type Vm, type VmOptions } from "./vm.ts";

const peerPort = "test.peer.0";

/** Replies of both, as they came over the wire. */
export interface Answers {
  readonly ours: string;
  readonly theirs: string;
}

export interface BothAgents extends AsyncDisposable {
  readonly vm: Vm;
  readonly ours: QgaClient;
  readonly theirs: QgaClient;
  /** One reply of one agent, as it came. */
  answer(agent: QgaClient, command: string, given?: Json): Promise<string>;
  /** Asks the real agent, then ours; `between` puts the guest back into the state that the first one found. */
  ask(command: string, given?: Json, between?: () => Promise<unknown>): Promise<Answers>;
}

/** Boots a guest and waits until both agents answer. */
export async function startBothAgents(options: VmOptions = {}): Promise<BothAgents> {
  const vm = await startVm({
    network: false,
    ...options,
    ...(await agentInGuest("--retry-path")),
    files: [...(await peerFiles(await obtainPeer())), ...(options.files ?? [])],
    executables: [...(await agentInGuest()).executables, ...(options.executables ?? [])],
    ports: [agentPort, peerPort],
  });
  try {
    const peer = [...peerInGuest.command, "-m", "virtio-serial", "-p", `/dev/virtio-ports/${peerPort}`];
    await vm.guest(
      `mkdir -p /run/peer; ${peer.join(" ")} -t /run/peer -f /run/peer/pid </dev/null >/lab/run/peer.log 2>&1 &`,
    );
    const ours = await vm.waitForAgent();
    const theirs = await vm.waitForAgent(peerPort);
    const answer: BothAgents["answer"] = (agent, command, given) => {
      agent.send(command, given);
      return agent.line({ timeoutMs: 60_000 });
    };
    return {
      vm,
      ours,
      theirs,
      answer,
      async ask(command, given, between = async () => {}) {
        const second = await answer(theirs, command, given);
        await between();
        return { theirs: second, ours: await answer(ours, command, given) };
      },
      [Symbol.asyncDispose]: vm.stop,
    };
  } catch (error) {
    await vm.stop();
    throw error;
  }
}
