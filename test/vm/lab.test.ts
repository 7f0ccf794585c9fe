/** Proves the lab itself, with the real QEMU guest agent in the guest: what fails here is not our agent's fault. */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { describeWith } from "../lab/apt.ts";
import { obtainPeer } from "../lab/peer.ts";
import { waitFor } from "../lab/process.ts";
import { AgentError, isObject, type Json, type QgaClient } from "../lab/qga-client.ts";
import { peerFiles, peerInGuest } from "./image.ts";
import { agentPort, startVm, type Vm, vmAvailability } from "./vm.ts";

// Bun kills a test's children when its time is up, and the VM is one of them: our own limits must come first.
setDefaultTimeout(120_000);

const ready = await vmAvailability(obtainPeer);

describeWith("the VM lab, with the real agent", ready, () => {
  let vm: Vm;
  let agent: QgaClient;

  beforeAll(async () => {
    const device = `/dev/virtio-ports/${agentPort}`;
    vm = await startVm({
      files: await peerFiles(await obtainPeer()),
      agentCommand: [...peerInGuest.command, "-m", "virtio-serial", "-p", device, "-t", "/run", "--retry-path"],
      respawnAgent: true,
      disks: [
        { name: "data", sizeMB: 64, fs: "ext4", mount: "/mnt/data" },
        { name: "logs", sizeMB: 320, fs: "xfs", mount: "/mnt/logs" },
      ],
    });
    agent = await vm.waitForAgent();
    console.log(`booted in ${vm.bootMs} ms`);
  });

  afterAll(async () => {
    await vm?.stop();
  });

  test("answers guest-info as series 10, and guest-ping within milliseconds", async () => {
    const info = await agent.call("guest-info");
    expect(info).toMatchObject({ version: expect.stringMatching(/^10\./) });
    const times: number[] = [];
    for (let count = 0; count < 50; count++) {
      const start = performance.now();
      expect(await agent.call("guest-ping")).toEqual({});
      times.push(performance.now() - start);
    }
    const median = times.sort((a, b) => a - b)[25] ?? Number.POSITIVE_INFINITY;
    console.log(`guest-ping: median ${median.toFixed(2)} ms`);
    expect(median).toBeLessThan(20);
  });

  test("a file written through the agent is the file that the guest's shell sees", async () => {
    const text = "over the wire\n";
    const handle = await agent.call("guest-file-open", { path: "/mnt/data/note", mode: "w+" });
    const written = await agent.call("guest-file-write", { handle, "buf-b64": btoa(text) });
    expect(written).toEqual({ count: text.length, eof: false });
    await agent.call("guest-file-seek", { handle, offset: 0, whence: "set" });
    const read = await agent.call("guest-file-read", { handle });
    expect(read).toEqual({ count: text.length, "buf-b64": btoa(text), eof: true });
    await agent.call("guest-file-close", { handle });
    expect(await vm.guest("cat /mnt/data/note")).toBe(text.trim());
  });

  test("an error reply is thrown with its class and text", async () => {
    const refused = agent.call("guest-nonsense");
    await expect(refused).rejects.toBeInstanceOf(AgentError);
    await expect(refused).rejects.toMatchObject({ class: "CommandNotFound" });
  });

  test("the shell gives output, exit codes and long text, several commands at a time", async () => {
    const commands = ["nproc", "echo out; echo err >&2; exit 7", "seq 1 20000"].map((command) => vm.shell(command));
    const [nproc, failing, long] = await Promise.all(commands);
    expect(nproc).toEqual({ exitCode: 0, stdout: "2\n", stderr: "" });
    expect(failing).toEqual({ exitCode: 7, stdout: "out\n", stderr: "err\n" });
    expect(long?.stdout).toHaveLength(108_894);
    await expect(vm.guest("echo why >&2; false")).rejects.toThrow("why");
  });

  test("the host can go and come back twenty times", async () => {
    for (let count = 0; count < 20; count++) {
      agent.close();
      agent = await vm.waitForAgent();
      expect(await agent.call("guest-ping")).toEqual({});
    }
  });

  test("the port can be unplugged and plugged in again", async () => {
    agent.close();
    const link = `/dev/virtio-ports/${agentPort}`;
    const hasLink = async (): Promise<boolean> => (await vm.shell(`[ -e ${link} ] || [ -L ${link} ]`)).exitCode === 0;
    expect(await hasLink()).toBe(true);
    await vm.unplugPort();
    await waitFor(
      async () => !(await hasLink()) || undefined,
      5_000,
      () => "the link stays",
    );
    await vm.plugPort();
    await waitFor(
      async () => (await hasLink()) || undefined,
      5_000,
      () => "the link does not come back",
    );
    // Whether the agent finds a new port by itself is its own affair; the real one is given a fresh start.
    await vm.shell("kill $(cat /lab/run/agent.pid)");
    agent = await vm.waitForAgent();
    expect(await agent.call("guest-ping")).toEqual({});
  });

  test("ext4 and xfs are frozen and thawed", async () => {
    expect(await agent.call("guest-fsfreeze-freeze")).toBe(2);
    // The write hangs until the thaw, while the shell goes on answering.
    const write = vm.shell("echo late >/mnt/logs/late");
    expect(await agent.call("guest-fsfreeze-status")).toBe("frozen");
    await expect(agent.call("guest-get-time")).rejects.toMatchObject({ class: "CommandNotFound" });
    expect(await vm.guest("echo awake")).toBe("awake");
    expect(await Promise.race([write.then(() => "written"), Bun.sleep(300).then(() => "waiting")])).toBe("waiting");
    expect(await agent.call("guest-fsfreeze-thaw")).toBe(2);
    expect((await write).exitCode).toBe(0);
  });

  // Before the CPU below is added, see wakeUp().
  test("suspend to RAM and wake-up", async () => {
    vm.forgetEvents();
    agent.send("guest-suspend-ram");
    await vm.event("SUSPEND", 20_000);
    expect(await vm.qmp("query-status")).toMatchObject({ status: "suspended" });
    await vm.wakeUp();
    await agent.sync({ timeoutMs: 20_000 });
    expect(await agent.call("guest-ping")).toEqual({});
  });

  test("memory and a CPU can be added while the guest runs", async () => {
    const count = async (command: string): Promise<number> => listLength(await agent.call(command));
    const blocks = await count("guest-get-memory-blocks");
    await vm.qmp("object-add", { "qom-type": "memory-backend-ram", id: "more", size: 256 << 20 });
    await vm.qmp("device_add", { driver: "pc-dimm", id: "dimm", memdev: "more" });
    await waitFor(
      async () => (await count("guest-get-memory-blocks")) === blocks + 2 || undefined,
      5_000,
      () => "no new memory blocks",
    );

    const cpus = await count("guest-get-vcpus");
    const slots = await vm.qmp("query-hotpluggable-cpus");
    const free = Array.isArray(slots) ? slots.find((slot) => isObject(slot) && !("qom-path" in slot)) : undefined;
    if (!isObject(free) || !isObject(free.props)) throw new Error("no slot for a CPU");
    await vm.qmp("device_add", { driver: String(free.type), id: "cpu", ...free.props });
    await waitFor(
      async () => (await count("guest-get-vcpus")) > cpus || undefined,
      5_000,
      () => "no new CPU",
    );
  });

  test("an agent that is killed is started again", async () => {
    const before = await vm.guest("cat /lab/run/agent.pid");
    await vm.guest(`kill -9 ${before}`);
    await waitFor(
      async () => {
        const now = (await vm.shell("cat /lab/run/agent.pid")).stdout.trim();
        return (now !== "" && now !== before) || undefined;
      },
      5_000,
      () => "no new process",
    );
    agent.close();
    agent = await vm.waitForAgent();
    expect(await vm.agentLog()).toContain("lab: agent ended with 137");
  });

  test("a guest that powers off ends QEMU, and stop() leaves nothing behind", async () => {
    await vm.shell("poweroff");
    expect(await vm.event("SHUTDOWN", 20_000)).toMatchObject({ data: { guest: true } });
    expect(await vm.exited).toBe(0);
    await vm.stop();
    expect(await Bun.file(vm.diskPath("data")).exists()).toBe(false);
  });
});

function listLength(value: Json): number {
  if (!Array.isArray(value)) throw new Error("not a list");
  return value.length;
}
