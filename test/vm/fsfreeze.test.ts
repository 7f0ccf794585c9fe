/** Freezing the disks of a guest while something writes to them, and what the host then finds in their images. */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { copyFile, rm } from "node:fs/promises";
import { describeWith } from "../lab/apt.ts";
import { mustRun, run, waitFor, within } from "../lab/process.ts";
import { connect, type Json, type QgaClient } from "../lab/qga-client.ts";
import { agentInGuest, agentPath, compiledAgent } from "./agent.ts";
import { agentPort, startVm, type Vm, vmAvailability } from "./vm.ts";

// Bun kills a test's children when its time is up, and the VM is one of them: our own limits must come first.
setDefaultTimeout(180_000);

const hookedPort = "test.hooked.0";

/** Appends numbers to a file of the filesystem, each made safe before it is reported in memory. */
const WRITER = `#!/bin/sh
n=0
while [ ! -e /run/stop ]; do
  n=$((n + 1))
  echo $n >>"$1/numbers" && sync "$1/numbers" || exit 1
  echo $n >"/run/$2.new" && mv "/run/$2.new" "/run/written.$2"
done
`;

/** The hook does what its file says, and keeps a record. */
const HOOK = '#!/bin/sh\necho "$1" >>/run/hook.log\n. /run/hook\n';

describeWith("freezing in a VM", await vmAvailability(compiledAgent), () => {
  let vm: Vm;
  let agent: QgaClient;
  let hooked: QgaClient;

  beforeAll(async () => {
    const ours = await agentInGuest();
    vm = await startVm({
      ...ours,
      executables: [...ours.executables, { from: "/sbin/mke2fs", to: "/sbin/mkfs.ext4" }],
      files: [
        { to: "/lab/writer", content: WRITER },
        { to: "/lab/hook", content: HOOK },
      ],
      ports: [agentPort, hookedPort],
      respawnAgent: true,
      network: false,
      disks: [
        { name: "data", sizeMB: 128, fs: "ext4", mount: "/mnt/data" },
        { name: "logs", sizeMB: 320, fs: "xfs", mount: "/mnt/logs" },
      ],
    });
    agent = await vm.waitForAgent();
    const options = `-p /dev/virtio-ports/${hookedPort} -t /run/hooked -F/lab/hook --fsfreeze-timeout 3`;
    await vm.guest(`mkdir /run/hooked; : >/run/hook; ${agentPath} ${options} </dev/null >/run/hooked.log 2>&1 &`);
    hooked = await vm.waitForAgent(hookedPort);
  });

  afterAll(async () => {
    await vm?.stop();
  });

  const freeze = (client: QgaClient): Promise<Json> => client.call("guest-fsfreeze-freeze", undefined, SLOW);
  const thaw = (client: QgaClient): Promise<Json> => client.call("guest-fsfreeze-thaw", undefined, SLOW);
  const status = (client: QgaClient): Promise<Json> => client.call("guest-fsfreeze-status");
  const SLOW = { timeoutMs: 60_000 };

  const isWritable = (mountpoint: string): Promise<string> =>
    vm.guest(`echo x >${mountpoint}/x && sync ${mountpoint}/x`);

  /** Starts to write. @returns whether that still hangs after a while, and what waits for its end */
  const writeTo = (mountpoint: string): { stalls(): Promise<boolean>; done: Promise<unknown> } => {
    const done = isWritable(mountpoint);
    return { stalls: () => Promise.race([done.then(() => false), Bun.sleep(500).then(() => true)]), done };
  };

  /** Lets writers run on both disks for as long as `action` lasts. @returns their exit codes */
  async function underLoad(action: () => Promise<void>): Promise<number[]> {
    await vm.guest("rm -f /run/stop /run/written.* /mnt/*/numbers");
    const writers = ["data", "logs"].map((name) => vm.shell(`/lab/writer /mnt/${name} ${name}`, 150_000));
    await waitFor(
      async () => (await vm.shell("[ -s /run/written.data ] && [ -s /run/written.logs ]")).exitCode === 0 || undefined,
      10_000,
      () => "the writers do not write",
    );
    try {
      await action();
    } finally {
      await vm.guest("touch /run/stop");
    }
    return (await Promise.all(writers)).map(({ exitCode }) => exitCode);
  }

  const written = async (name: string): Promise<number> => Number(await vm.guest(`cat /run/written.${name}`));

  test("images copied while frozen are whole and hold all that was written", async () => {
    const copies = { data: `${vm.diskPath("data")}.copy`, logs: `${vm.diskPath("logs")}.copy` };
    const before: Record<string, number> = {};
    const codes = await underLoad(async () => {
      await Bun.sleep(1000);
      expect(await freeze(agent)).toBe(2);
      // What was made safe just before may still have to be reported.
      await Bun.sleep(500);
      for (const name of ["data", "logs"]) before[name] = await written(name);
      await Bun.sleep(1000);
      // The writers stand still.
      for (const name of ["data", "logs"]) expect(await written(name)).toBe(before[name]!);
      for (const name of ["data", "logs"] as const) await copyFile(vm.diskPath(name), copies[name]);
      expect(await thaw(agent)).toBe(2);
      await Bun.sleep(500);
      for (const name of ["data", "logs"]) expect(await written(name)).toBeGreaterThan(before[name]!);
    });
    expect(codes).toEqual([0, 0]);
    for (const name of ["data", "logs"]) {
      const last = await written(name);
      expect(await vm.guest(`cat /mnt/${name}/numbers`)).toBe(numbersUpTo(last));
    }

    for (const [name, copy] of Object.entries(copies)) {
      const found = await numbersIn(copy, name === "logs" ? "xfs" : "ext4");
      // The writer may have been between its write and its report.
      expect([numbersUpTo(before[name]!), numbersUpTo(before[name]! + 1)]).toContain(found);
    }
    expect(await run(["e2fsck", "-fn", copies.data])).toMatchObject({ exitCode: 0 });
    // XFS keeps its log open while frozen and counts free blocks only when it is replayed, as the first mount does.
    const unreplayed = await run(["xfs_repair", "-n", copies.logs]);
    expect(unreplayed.stderr.split("\n").filter((line) => /bad|corrupt|would|inconsistent/.test(line))).toEqual([]);
    await mustRun(["unshare", "-m", "sh", "-c", 'mount -o loop,nouuid "$1" /mnt && umount /mnt', "sh", copies.logs]);
    expect(await run(["xfs_repair", "-n", copies.logs])).toMatchObject({ exitCode: 0 });
    for (const copy of Object.values(copies)) await rm(copy);
  });

  test("a hundred freezes and thaws under load", async () => {
    const codes = await underLoad(async () => {
      for (let count = 0; count < 100; count++) {
        expect(await freeze(agent)).toBe(2);
        expect(await status(agent)).toBe("frozen");
        expect(await thaw(agent)).toBe(2);
      }
    });
    expect(codes).toEqual([0, 0]);
    for (const name of ["data", "logs"]) {
      expect(await vm.guest(`cat /mnt/${name}/numbers`)).toBe(numbersUpTo(await written(name)));
    }
  });

  test("one that is frozen already, a bind mount, and a filesystem in a file on a frozen disk", async () => {
    await vm.guest("fsfreeze --freeze /mnt/data");
    expect(await freeze(agent)).toBe(1);
    expect(await thaw(agent)).toBe(2);
    await isWritable("/mnt/data");

    await vm.guest("mkdir -p /mnt/data/sub /mnt/bind /mnt/inner && mount --bind /mnt/data/sub /mnt/bind");
    expect(await freeze(agent)).toBe(2);
    expect(await thaw(agent)).toBe(2);

    await vm.guest("modprobe loop; truncate -s 32M /mnt/logs/image && mkfs.ext4 -q -F /mnt/logs/image");
    await vm.guest("mount -t ext4 -o loop /mnt/logs/image /mnt/inner");
    await vm.guest("dd if=/dev/urandom of=/mnt/inner/dirty bs=1M count=8 2>/dev/null");
    expect(await freeze(agent)).toBe(3);
    const writer = writeTo("/mnt/inner");
    expect(await writer.stalls()).toBe(true);
    expect(await thaw(agent)).toBe(3);
    await writer.done;
    await vm.guest("umount /mnt/inner && umount /mnt/bind");
  });

  test("an agent that is killed while frozen is followed by one that knows, and thaws", async () => {
    expect(await freeze(agent)).toBe(2);
    const writer = writeTo("/mnt/data");
    const before = await vm.guest("cat /lab/run/agent.pid");
    await vm.guest(`kill -TERM ${before}`);
    await Bun.sleep(300);
    expect(await status(agent)).toBe("frozen");
    await vm.guest(`kill -9 ${before}`);
    await waitFor(
      async () => !["", before].includes((await vm.shell("cat /lab/run/agent.pid")).stdout.trim()) || undefined,
      10_000,
      () => "no new agent",
    );
    agent.close();
    agent = await vm.waitForAgent();
    expect(await status(agent)).toBe("frozen");
    await expect(agent.call("guest-get-time")).rejects.toMatchObject({ class: "CommandNotFound" });
    expect(await writer.stalls()).toBe(true);
    expect(await thaw(agent)).toBe(2);
    await writer.done;
    expect(await status(agent)).toBe("thawed");
    expect(await vm.guest("ls /run/qga.state.isfrozen 2>/dev/null || echo gone")).toBe("gone");
  });

  test("a hook that fails, one that hangs, and one that does neither", async () => {
    const hookIs = (text: string): Promise<string> => vm.guest(`rm -f /run/hook.log; echo '${text}' >/run/hook`);
    await hookIs("echo no; exit 3");
    await expect(freeze(hooked)).rejects.toMatchObject({
      desc: "child process has failed to execute fsfreeze hook: no\n",
    });
    expect(await status(hooked)).toBe("thawed");
    await isWritable("/mnt/data");

    await hookIs('[ "$1" = thaw ] || sleep 100');
    const refusal = freeze(hooked).catch((error: unknown) => error);
    expect(await within(refusal, 10_000, () => "the hook was not given up")).toMatchObject({
      desc: "child process has failed to execute fsfreeze hook: killed after its time limit",
    });
    expect(await status(hooked)).toBe("thawed");
    await isWritable("/mnt/data");
    expect(await vm.guest("cat /run/hook.log; pgrep -f 'sleep 100' || echo gone")).toBe("freeze\nthaw\ngone");

    await hookIs(":");
    expect(await freeze(hooked)).toBe(2);
    expect(await vm.guest("cat /run/hook.log")).toBe("freeze");
    expect(await thaw(hooked)).toBe(2);
    expect(await vm.guest("cat /run/hook.log")).toBe("freeze\nthaw");
  });

  test("a host that never thaws is not waited for beyond the deadline", async () => {
    await vm.guest("rm -f /run/hook.log; echo : >/run/hook");
    expect(await freeze(hooked)).toBe(2);
    const writer = writeTo("/mnt/logs");
    expect(await writer.stalls()).toBe(true);
    // Nobody is connected any more.
    hooked.close();
    await within(writer.done, 15_000, () => "not thawed by its deadline");
    hooked = await connect(vm.agentSocket(hookedPort));
    await hooked.sync();
    expect(await status(hooked)).toBe("thawed");
    expect(await vm.guest("cat /run/hook.log")).toBe("freeze\nthaw");
    const log = await vm.guest("cat /run/hooked.log");
    expect(log).toContain("critical: no thaw came within 3 s: 2 filesystems were thawed");
    expect(log).toContain("critical: the last freeze ended at its deadline of 3 s");
  });
});

const numbersUpTo = (last: number): string => Array.from({ length: last }, (_, index) => index + 1).join("\n");

/** The file of numbers in an image, read on this machine without writing to it. */
async function numbersIn(image: string, type: "ext4" | "xfs"): Promise<string> {
  const options = type === "xfs" ? "loop,ro,norecovery,nouuid" : "loop,ro,noload";
  const script = `mount -t ${type} -o ${options} "$1" /mnt && cat /mnt/numbers`;
  return (await mustRun(["unshare", "-m", "sh", "-c", script, "sh", image])).trimEnd();
}
