/** Proves the libvirt half of the lab with the real QEMU guest agent: libvirt itself asks the questions here. */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { describeWith } from "../lab/apt.ts";
import { obtainPeer } from "../lab/peer.ts";
import { peerFiles, peerInGuest } from "./image.ts";
import { type Domain, type Libvirt, libvirtAvailability, startDomain, startLibvirt } from "./libvirt.ts";
import { agentPort } from "./vm.ts";

// Bun kills a test's children when its time is up, and libvirtd is one of them: our own limits must come first.
setDefaultTimeout(150_000);

const ready = await libvirtAvailability(obtainPeer);

describeWith("libvirt, with the real agent", ready, () => {
  let libvirt: Libvirt;
  let domain: Domain;

  beforeAll(async () => {
    libvirt = await startLibvirt();
    const device = `/dev/virtio-ports/${agentPort}`;
    domain = await startDomain(libvirt, {
      files: await peerFiles(await obtainPeer()),
      agentCommand: [...peerInGuest.command, "-m", "virtio-serial", "-p", device, "-t", "/run"],
      hostname: "lab-libvirt",
      disks: [
        { name: "data", sizeMB: 64, fs: "ext4", mount: "/mnt/data" },
        { name: "logs", sizeMB: 320, fs: "xfs", mount: "/mnt/logs" },
      ],
    });
    console.log(`libvirt has its first answer after ${domain.bootMs} ms`);
  });

  afterAll(async () => {
    await domain?.stop();
    await libvirt?.stop();
  });

  test("guestinfo", async () => {
    const info = await domain.virsh("guestinfo");
    expect(info).toMatch(/^os\.id\s*: lab$/m);
    expect(info).toMatch(/^hostname\s*: lab-libvirt$/m);
    expect(info).toMatch(/^fs\.count\s*: 2$/m);
    expect(info).toMatch(/^if\.count\s*: 2$/m);
    expect(info).toMatch(/^disk\.count\s*: \d+$/m);
  });

  test("domfsinfo names the disks as libvirt knows them", async () => {
    const lines = (await domain.virsh("domfsinfo")).split("\n").map((line) => line.trim().split(/\s+/));
    expect(lines).toContainEqual(["/mnt/data", "vda", "ext4", "vda"]);
    expect(lines).toContainEqual(["/mnt/logs", "vdb", "xfs", "vdb"]);
  });

  test("domfsfreeze, domfsthaw and domfstrim", async () => {
    expect(await domain.virsh("domfsfreeze")).toBe("Froze 2 filesystem(s)");
    const write = domain.shell("echo late >/mnt/data/late");
    expect(await Promise.race([write.then(() => "written"), Bun.sleep(300).then(() => "waiting")])).toBe("waiting");
    expect(await domain.virsh("domfsthaw")).toBe("Thawed 2 filesystem(s)");
    expect((await write).exitCode).toBe(0);
    await domain.virsh("domfstrim");
  });

  test("guestvcpus, and one taken off and on", async () => {
    expect(await domain.virsh("guestvcpus")).toMatch(/^online\s*: 0-1$/m);
    await domain.virsh("setvcpus", "1", "--guest");
    expect((await domain.shell("nproc")).stdout).toBe("1\n");
    await domain.virsh("setvcpus", "2", "--guest");
    expect((await domain.shell("nproc")).stdout).toBe("2\n");
  });

  test("domtime, read and set", async () => {
    const seconds = async (): Promise<number> => Number((await domain.virsh("domtime")).replace(/^Time: /, ""));
    expect(Math.abs((await seconds()) - Date.now() / 1000)).toBeLessThan(10);
    await domain.virsh("domtime", "--time", "1000000000");
    expect(Number((await domain.shell("date +%s")).stdout) - 1_000_000_000).toBeLessThan(10);
    await domain.virsh("domtime", "--now");
    expect(Math.abs((await seconds()) - Date.now() / 1000)).toBeLessThan(10);
  });

  test("domifaddr, domhostname", async () => {
    const addresses = await domain.virsh("domifaddr", "--source", "agent");
    expect(addresses).toContain("127.0.0.1/8");
    expect(addresses).toMatch(/eth0\s+([0-9a-f]{2}:){5}[0-9a-f]{2}\s+ipv4\s+10\.0\.2\.15\/24/);
    expect(await domain.virsh("domhostname", "--source", "agent")).toBe("lab-libvirt");
  });

  test("stop() leaves no domain", async () => {
    await domain.stop();
    await expect(domain.virsh("domstate")).rejects.toThrow("failed to get domain");
  });
});
