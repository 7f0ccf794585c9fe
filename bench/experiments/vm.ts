/** Both agents side by side in a virtual machine, over virtio-serial. */
import { obtainPeer } from "../../test/lab/peer.ts";
import { agentInGuest } from "../../test/vm/agent.ts";
import { peerFiles, peerInGuest } from "../../test/vm/image.ts";
import { agentPort, startVm, type Vm } from "../../test/vm/vm.ts";
import { connect, requestBytes } from "../client.ts";
import { type Experiment, ratio, repeat, value } from "../experiment.ts";
import type { SubjectName } from "../lab.ts";
import { switchesIn } from "../process-facts.ts";
import { IDLE_SECONDS, wakeupsIn } from "./idle.ts";
import { pingLatency } from "./latency.ts";
import { readRequest } from "./transfer.ts";

const MIB = 1024 * 1024;
const DATA = "/tmp/data";
const DATA_MIB = 16;

/** How each agent is reached, and how the guest's shell finds its process id. */
const PLACES: Readonly<Partial<Record<SubjectName, { readonly port: string; readonly pid: string }>>> = {
  inguest: { port: agentPort, pid: "cat /lab/run/agent.pid" },
  "qemu-ga 10": { port: "test.peer.0", pid: "cat /run/peer/pid" },
};

async function boot(): Promise<Vm> {
  const ours = await agentInGuest();
  const { port, pid } = PLACES["qemu-ga 10"] ?? { port: "", pid: "" };
  const vm = await startVm({
    ...ours,
    files: await peerFiles(await obtainPeer()),
    ports: [agentPort, port],
    network: false,
  });
  try {
    const peer = [...peerInGuest.command, "-m", "virtio-serial", "-p", `/dev/virtio-ports/${port}`, "-t", "/run/peer"];
    await vm.guest(`mkdir -p /run/peer; ${peer.join(" ")} </dev/null >/lab/run/peer.log 2>&1 & echo $! >/tmp/pid`);
    await vm.guest(`mv /tmp/pid ${pid.split(" ")[1]}; dd if=/dev/urandom of=${DATA} bs=1M count=${DATA_MIB}`);
    for (const place of [agentPort, port]) (await vm.waitForAgent(place)).close();
    return vm;
  } catch (error) {
    await vm.stop();
    throw error;
  }
}

let booted: Promise<Vm> | undefined;

/** The machine, which is booted when it is first asked for. */
const machine = (): Promise<Vm> => {
  booted ??= boot();
  return booted;
};

/** Ends the machine if there is one. */
export async function stopVm(): Promise<void> {
  const vm = await booted?.catch(() => undefined);
  await vm?.stop();
}

const place = (name: SubjectName) => {
  const found = PLACES[name];
  if (found === undefined) throw new Error(`there is no ${name} in the virtual machine`);
  return found;
};

const subjects = ["qemu-ga 10", "inguest"] as const;

export const VM: readonly Experiment[] = [
  {
    figures: {
      ping: { name: "virtio-serial: guest-ping", unit: "µs", better: "lower" },
      read: { name: "virtio-serial: guest-file-read 1 MiB", unit: "MB/s", better: "higher", target: ratio(1.5) },
    },
    subjects,
    slow: true,
    unpinned: true,
    async sample({ name }, lab) {
      const client = connect((await machine()).agentSocket(place(name).port));
      const ping = pingLatency(client, lab.budget);
      const handle = client.call<number>("guest-file-open", { path: DATA });
      const rewind = requestBytes("guest-file-seek", { handle, offset: 0, whence: 0 });
      const request = readRequest(handle, MIB);
      const taken = repeat(lab.budget, () => {
        client.ask(rewind);
        client.ask(request);
      });
      client.call("guest-file-close", { handle });
      client.close();
      const seconds = taken.reduce((total, one) => total + one, 0) / 1000;
      return { ping, read: (taken.length * MIB) / 1e6 / seconds };
    },
  },
  {
    figures: {
      alone: { name: "virtio-serial: wakeups in 60 s, no host", unit: "", better: "lower", target: value(0) },
    },
    subjects,
    rounds: 1,
    slow: true,
    unpinned: true,
    async sample({ name }) {
      const vm = await machine();
      const pid = await vm.guest(place(name).pid);
      const alone = await wakeupsIn(IDLE_SECONDS, async () => {
        const threads = await vm.guest(`for task in /proc/${pid}/task/*; do cat $task/status; echo ---; done`);
        return switchesIn(threads.split("---\n").filter((text) => text !== ""));
      });
      return { alone };
    },
  },
];
