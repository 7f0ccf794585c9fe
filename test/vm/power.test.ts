/** Shutting a guest down and sending it to sleep, seen from the outside. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { describeWith } from "../lab/apt.ts";
import { mustRun, waitFor } from "../lab/process.ts";
import { agentInGuest, compiledAgent } from "./agent.ts";
import type { GuestFile } from "./image.ts";
import { startVm, type Vm, type VmOptions, vmAvailability } from "./vm.ts";

// Bun kills a test's children when its time is up, and the VM is one of them: our own limits must come first.
setDefaultTimeout(180_000);

/** The first process is a shell that takes no orders: only the kernel is left to shut this guest down. */
const plainInit: GuestFile = {
  to: "/lab/plain-init",
  content: "#!/bin/sh\n/lab/boot\n/lab/shell &\n/lab/start-agent &\nwhile :; do sleep 1000; done\n",
};

/** A shutdown(8) that says how it was called, and refuses. */
const refusingShutdown: GuestFile = {
  to: "/sbin/shutdown",
  content: '#!/bin/sh\nfor word; do echo "[$word]"; done\necho "not now" >&2\nexit 1\n',
};

const start = async (options: VmOptions = {}): Promise<Vm> =>
  startVm({
    ...(await agentInGuest()),
    disks: [{ name: "data", sizeMB: 64, fs: "ext4", mount: "/mnt/data" }],
    network: false,
    ...options,
  });

/** What a file of the ext4 disk holds, read on this machine. */
const onDisk = (vm: Vm, path: string): Promise<string> =>
  mustRun(["debugfs", "-R", `cat ${path}`, vm.diskPath("data")]);

describeWith("power", await vmAvailability(compiledAgent), () => {
  const inits: [string, VmOptions][] = [
    ["busybox as init", {}],
    ["an init that takes no orders", { files: [plainInit], kernelArgs: "rdinit=/lab/plain-init" }],
  ];
  const modes: [string, string, { [key: string]: string }][] = [
    ["powerdown, unasked", "guest-shutdown", {}],
    ["powerdown", "guest-shutdown", { mode: "powerdown" }],
    ["reboot", "guest-reset", { mode: "reboot" }],
  ];

  test.each(inits.flatMap(([init, options]) => modes.map((mode) => [init, ...mode, options] as const)))(
    "%s: %s",
    async (_init, _mode, reason, args, options) => {
      await using vm = await start(options);
      const agent = await vm.waitForAgent();
      await vm.guest("echo unsynced >/mnt/data/file");
      agent.send("guest-shutdown", args);
      expect(await vm.event("SHUTDOWN", 30_000)).toMatchObject({ data: { guest: true, reason } });
      expect(await vm.exited).toBe(0);
      expect(await onDisk(vm, "/file")).toBe("unsynced\n");
    },
  );

  test.each(inits)("%s: halt", async (_init, options) => {
    await using vm = await start(options);
    const agent = await vm.waitForAgent();
    await vm.guest("echo unsynced >/mnt/data/file");
    agent.send("guest-shutdown", { mode: "halt" });
    await waitFor(
      async () => (await vm.consoleLog()).includes("reboot: System halted") || undefined,
      30_000,
      () => "the kernel did not halt",
    );
    expect(await vm.qmp("query-status")).toMatchObject({ status: "running" });
    expect(await onDisk(vm, "/file")).toBe("unsynced\n");
  });

  test("suspend to RAM and back, twice; what cannot be and what is refused says so", async () => {
    await using vm = await start({ files: [refusingShutdown] });
    const agent = await vm.waitForAgent();
    const ask = async (command: string, args?: { [key: string]: string }): Promise<unknown> =>
      agent.call(command, args).catch((error: unknown) => String(error));

    const unsupported = "Error: GenericError: the requested suspend mode is not supported by the guest";
    expect(await ask("guest-suspend-hybrid")).toBe(unsupported);
    const words = "[-h]\n[-r]\n[+0]\n[hypervisor initiated shutdown]\nnot now\n";
    expect(await ask("guest-shutdown", { mode: "reboot" })).toBe(
      `Error: GenericError: child process has failed to shutdown: ${words}`,
    );
    expect(await ask("guest-shutdown", { mode: "off" })).toBe(
      "Error: GenericError: mode is invalid (valid values are: halt|powerdown|reboot",
    );

    for (const round of [1, 2]) {
      vm.forgetEvents();
      agent.send("guest-suspend-ram");
      await vm.event("SUSPEND", 20_000);
      expect(await vm.qmp("query-status")).toMatchObject({ status: "suspended" });
      await vm.wakeUp();
      await agent.sync({ timeoutMs: 20_000 });
      // No reply came to the suspend itself.
      const after = await agent.raw(`{"execute": "guest-ping", "id": ${round}}\n`);
      expect(Buffer.from(after).toString()).toBe(`{"return": {}, "id": ${round}}\n`);
    }

    // There is no swap to save the guest in: the kernel refuses, and the agent says why.
    const states = await vm.guest("cat /sys/power/state");
    const refusal = await ask("guest-suspend-disk");
    if (states.includes("disk")) expect(refusal).toContain("suspend: cannot write to '/sys/power/state': ");
    else expect(refusal).toBe(unsupported);
  });
});
