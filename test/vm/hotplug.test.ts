/** Processors and memory that come and go: what our agent does with them, and that the real one does the same. */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { describeWith } from "../lab/apt.ts";
import { obtainPeer } from "../lab/peer.ts";
import { waitFor } from "../lab/process.ts";
import { isObject, type Json, parseJson, printJson } from "../lab/qga-client.ts";
import { compiledAgent } from "./agent.ts";
import { type Answers, type BothAgents, startBothAgents } from "./both-agents.ts";
import { vmAvailability } from "./vm.ts";

// Bun kills a test's children when its time is up, and the VM is one of them: our own limits must come first.
setDefaultTimeout(120_000);

const MiB = 1024 * 1024;
const SYSFS_CPU = "/sys/devices/system/cpu";

const ready = await vmAvailability(compiledAgent, obtainPeer);

const vcpu = (id: number, online: boolean): Json => ({ "logical-id": id, online });
const block = (index: number, online: boolean): Json => ({ "phys-index": index, online });

function returned(text: string): Json | undefined {
  const reply = parseJson(text);
  return isObject(reply) ? reply.return : undefined;
}

function returnedList(text: string): { [key: string]: Json }[] {
  const list = returned(text);
  return Array.isArray(list) ? list.filter(isObject) : [];
}

function expectSame({ ours, theirs }: Answers): string {
  expect(ours).toBe(theirs);
  return ours;
}

describeWith("processors and memory, with the real agent beside", ready, () => {
  let both: BothAgents;

  beforeAll(async () => {
    // The kernel shall not put anything of its own into memory that is to be taken out again.
    both = await startBothAgents({ cpus: 3, maxCpus: 4, kernelArgs: "movable_node" });
  });

  afterAll(async () => {
    await both?.vm.stop();
  });

  const nproc = async (): Promise<number> => Number(await both.vm.guest("nproc"));
  const online = (): Promise<string> => both.vm.guest(`cat ${SYSFS_CPU}/online`);
  /** Memory of the guest in MiB. */
  const memory = async (): Promise<number> =>
    Number(/MemTotal: +(\d+)/.exec(await both.vm.guest("cat /proc/meminfo"))?.[1]) / 1024;

  test("processors go offline and online, as the guest's own nproc sees it", async () => {
    const { ours, vm } = both;
    expectSame(await both.ask("guest-get-vcpus"));
    expect(await nproc()).toBe(3);
    expect(await ours.call("guest-set-vcpus", { vcpus: [vcpu(1, false), vcpu(2, false)] })).toBe(2);
    expect(await nproc()).toBe(1);
    expect(await vm.guest(`cat ${SYSFS_CPU}/cpu2/online`)).toBe("0");
    const list = returnedList(expectSame(await both.ask("guest-get-vcpus")));
    expect(list.filter((each) => each.online === false)).toHaveLength(2);
    expect(await ours.call("guest-set-vcpus", { vcpus: [vcpu(2, true), vcpu(1, true)] })).toBe(2);
    expect(await nproc()).toBe(3);
  });

  const switches: readonly (readonly Json[])[] = [
    [],
    [vcpu(1, false)],
    [vcpu(1, true)],
    [vcpu(0, true)],
    [vcpu(0, false)],
    [vcpu(2, false), vcpu(0, false), vcpu(1, false)],
    [vcpu(0, false), vcpu(1, false)],
    [vcpu(1, false), vcpu(1, true), vcpu(1, false)],
    [vcpu(99, true)],
    [vcpu(1, false), vcpu(99, false), vcpu(2, false)],
    [{ "logical-id": 2, online: false, "can-offline": false }],
  ];

  test.each(switches.map((vcpus) => [printJson([...vcpus])]))("guest-set-vcpus %s does the same", async (vcpus) => {
    const results: string[] = [];
    const restore = async (): Promise<void> => {
      results.push(await online());
      await both.vm.guest(`for cpu in 1 2; do echo 1 >${SYSFS_CPU}/cpu$cpu/online; done`);
    };
    expectSame(await both.ask("guest-set-vcpus", { vcpus: parseJson(vcpus) }, restore));
    await restore();
    expect(results[1]!).toBe(results[0]!);
  });

  test("a processor that QEMU adds is switched on through the agent", async () => {
    const slots = await both.vm.qmp("query-hotpluggable-cpus");
    const free = Array.isArray(slots) ? slots.filter(isObject).find((slot) => !("qom-path" in slot)) : undefined;
    if (free === undefined || !isObject(free.props)) throw new Error("no slot for a CPU");
    await both.vm.qmp("device_add", { driver: String(free.type), id: "cpu", ...free.props });
    await waitFor(
      async () => returnedList(expectSame(await both.ask("guest-get-vcpus"))).length === 4 || undefined,
      10_000,
      () => "no new processor",
    );
    expect(await nproc()).toBe(3);
    expect(await both.ours.call("guest-set-vcpus", { vcpus: [vcpu(3, true)] })).toBe(1);
    expect(await nproc()).toBe(4);
    expect(await both.ours.call("guest-set-vcpus", { vcpus: [vcpu(3, false)] })).toBe(1);
    expect(await nproc()).toBe(3);
  });

  test("a DIMM that QEMU adds is switched on and off through the agent, and taken out again", async () => {
    const { ours, theirs, vm } = both;
    const blocks = async () => returnedList(expectSame(await both.ask("guest-get-memory-blocks")));
    const size = Number(((await ours.call("guest-get-memory-block-info")) as { size: Json }).size);
    expectSame(await both.ask("guest-get-memory-block-info"));
    const before = await blocks();
    const memoryBefore = await memory();
    expect((before.length * size) / MiB).toBe(1024);

    await vm.qmp("object-add", { "qom-type": "memory-backend-ram", id: "more", size: 2 * size });
    await vm.qmp("device_add", { driver: "pc-dimm", id: "dimm", memdev: "more" });
    await waitFor(
      async () => (await blocks()).length === before.length + 2 || undefined,
      10_000,
      () => "no new memory blocks",
    );
    const known = new Set(before.map((each) => each["phys-index"]));
    const added = (await blocks()).filter((each) => !known.has(each["phys-index"]!));
    expect(added.map((each) => each.online)).toEqual([false, false]);
    const [first = -1, second = -1] = added.map((each) => Number(each["phys-index"]));

    const switchBoth = (on: boolean): Json => ({
      "mem-blks": [block(first, on), block(99_999, on), block(second, on)],
    });
    const off = () => ours.call("guest-set-memory-blocks", switchBoth(false));
    const answers = expectSame(await both.ask("guest-set-memory-blocks", switchBoth(true), off));
    expect(returned(answers)).toEqual([
      { response: "success", "phys-index": first },
      { response: "not-found", "error-code": 2, "phys-index": 99_999 },
      { response: "success", "phys-index": second },
    ]);
    expect((await memory()) - memoryBefore).toBeGreaterThan((2 * size) / MiB - 16);
    expect((await blocks()).filter((each) => each.online === true)).toHaveLength(before.length + 2);

    const on = () => theirs.call("guest-set-memory-blocks", switchBoth(true));
    expectSame(await both.ask("guest-set-memory-blocks", switchBoth(false), on));
    expect(Math.abs((await memory()) - memoryBefore)).toBeLessThan(1);

    await vm.qmp("device_del", { id: "dimm" });
    await vm.event("DEVICE_DELETED", 20_000, ({ data }) => data.device === "dimm");
    expect(await blocks()).toEqual(before);
    expectSame(await both.ask("guest-set-memory-blocks", switchBoth(true)));
  });

  test("memory that the kernel needs stays, and both say why", async () => {
    const answers = await both.ask("guest-set-memory-blocks", { "mem-blks": [block(0, false)] });
    expect(returnedList(expectSame(answers))).toMatchObject([{ response: "operation-failed", "phys-index": 0 }]);
  });
});
