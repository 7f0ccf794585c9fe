/** From a fresh system to an agent that answers in one line, and back: with systemd, and below busybox's init. */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeWith, ensurePackages } from "../lab/apt.ts";
import { waitFor } from "../lab/process.ts";
import { isObject } from "../lab/qga-client.ts";
import { compiledAgent } from "../vm/agent.ts";
import { debianDisk, debianDiskPackages } from "../vm/debian-root.ts";
import { executableFiles } from "../vm/image.ts";
import { agentPort, startVm, vmAvailability } from "../vm/vm.ts";
import { fileList, INSTALL_MS, lastingGuest, SOURCE, steps } from "./in-vm.ts";
import { makeSourceDisk } from "./source.ts";

setDefaultTimeout(600_000);

const packages = await ensurePackages(debianDiskPackages);
const ready = packages.available ? await vmAvailability(compiledAgent, () => debianDisk()) : packages;

describeWith("in one line", ready, () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "inguest-packaging-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test("with systemd: the host gets an answer, after the next boot too, and nothing stays", async () => {
    const options = await lastingGuest(await debianDisk(), await makeSourceDisk(folder), folder);
    let before: string[];
    {
      await using vm = await startVm(options);
      before = await fileList(vm);
      await vm.guest(`mount -r ${SOURCE} /mnt`);
      const dryRun = await vm.guest("sh /mnt/install.sh --dry-run", INSTALL_MS);
      expect(steps(dryRun)).toEqual(["to do"]);
      expect(await fileList(vm)).toEqual(before);

      const done = await vm.guest("sh /mnt/install.sh", INSTALL_MS);
      expect(steps(done)).toEqual(["done"]);
      const agent = await vm.waitForAgent();
      expect(await agent.call("guest-get-host-name")).toEqual({ "host-name": "vm" });
      const properties = "-p Type -p ActiveState -p SubState -p NRestarts -p ExecMainStartTimestampMonotonic";
      const shown = await vm.guest(`systemctl show inguest ${properties}`);
      expect(shown).toContain("Type=notify\n");
      expect(shown).toContain("ActiveState=active\nSubState=running");
      expect(shown).toContain("NRestarts=0");

      const again = await vm.guest("inguest install", INSTALL_MS);
      expect(steps(again)).toEqual(["as is"]);
      expect(await vm.guest(`systemctl show inguest ${properties}`)).toBe(shown);

      const dropIn = "/etc/systemd/system/inguest.service.d";
      await vm.guest(`install -D -m644 /mnt/inguest-restricted.conf ${dropIn}/restricted.conf`);
      await vm.guest("umount /mnt; systemctl daemon-reload; systemctl restart inguest", 60_000);
      await agent.sync({ timeoutMs: 60_000 });
      expect(await agent.call("guest-fsfreeze-freeze", undefined, { timeoutMs: 30_000 })).toBe(1);
      expect(await agent.call("guest-fsfreeze-thaw")).toBe(1);
      expect(await agent.call("guest-get-osinfo")).toMatchObject({ id: "debian" });
      const fsinfo = await agent.call("guest-get-fsinfo");
      expect(Array.isArray(fsinfo) && fsinfo.map((one) => isObject(one) && one.mountpoint)).toContain("/");
      await expect(agent.call("guest-exec", { path: "/bin/true" })).rejects.toThrow("guest-exec has been disabled");
      await vm.guest(`rm -r ${dropIn}`);

      agent.send("guest-shutdown");
      await vm.exited;
    }
    await using vm = await startVm(options);
    const agent = await vm.waitForAgent(agentPort, 60_000);
    expect(await agent.call("guest-ping")).toEqual({});
    const findings: unknown = JSON.parse(await vm.guest("inguest doctor --json"));
    expect(Array.isArray(findings) && findings.filter(({ verdict }) => verdict === "fail")).toEqual([]);

    await vm.guest("inguest uninstall", 60_000);
    expect(await fileList(vm)).toEqual(before);
    const state = await vm.guest("systemctl show inguest -p LoadState -p ActiveState");
    expect(state.split("\n").sort()).toEqual(["ActiveState=inactive", "LoadState=not-found"]);
    const { exitCode } = await vm.shell("pidof inguest");
    expect(exitCode).not.toBe(0);
  });

  test("below busybox's init, which starts it again when it dies", async () => {
    const program = "/srv/inguest";
    await using vm = await startVm({ files: await executableFiles(await compiledAgent(), program) });
    const pid = async (): Promise<string> => vm.guest("pidof inguest || true");
    const before = await vm.guest("cat /etc/inittab");

    const done = await vm.guest(`${program} install`, INSTALL_MS);
    expect(done).toContain("add to /etc/inittab: ::respawn:");
    const agent = await vm.waitForAgent();
    expect(isObject(await agent.call("guest-info"))).toBe(true);
    agent.close();
    const first = await pid();
    expect(await vm.guest(`awk '/^PPid/ { print $2 }' /proc/${first}/status`)).toBe("1");

    await vm.guest(`kill -9 ${first}`);
    await waitFor(
      async () => (/^\d+$/.test(await pid()) && (await pid()) !== first) || undefined,
      20_000,
      () => "init did not start it again",
    );
    await vm.waitForAgent();

    await vm.guest(`${program} uninstall`, 60_000);
    await waitFor(
      async () => (await pid()) === "" || undefined,
      20_000,
      () => "it did not end",
    );
    expect(await vm.guest("cat /etc/inittab")).toBe(before);
    const left = await vm.guest("find / -xdev -name '*inguest*' -not -path '/proc/*' -o -xdev -name 'qemu-ga.conf'");
    expect(left).toBe(program);
  });
});
