/** libvirt's own commands, through the compiled agent: what an administrator types and sees. */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeWith } from "../lab/apt.ts";
import { mustRun, waitFor } from "../lab/process.ts";
import { agentInGuest, compiledAgent } from "./agent.ts";
import { chpasswdFiles } from "./image.ts";
import { type Domain, type Libvirt, libvirtAvailability, startDomain, startLibvirt } from "./libvirt.ts";

// Bun kills a test's children when its time is up, and libvirtd is one of them: our own limits must come first.
setDefaultTimeout(150_000);

const ready = await libvirtAvailability(compiledAgent);

describeWith("virsh and the agent", ready, () => {
  let libvirt: Libvirt;
  let domain: Domain;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "inguest-virsh-"));
    libvirt = await startLibvirt();
    domain = await startDomain(libvirt, {
      ...(await agentInGuest()),
      files: await chpasswdFiles(),
      hostname: "lab-libvirt",
      disks: [
        { name: "data", sizeMB: 64, fs: "ext4", mount: "/mnt/data" },
        { name: "logs", sizeMB: 320, fs: "xfs", mount: "/mnt/logs" },
      ],
    });
  });

  afterAll(async () => {
    await domain?.stop();
    await libvirt?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** Types commands and gives what a terminal would show, with names for what differs from run to run. */
  const transcript = async (...commands: readonly (readonly [string, ...string[]])[]): Promise<string> => {
    const shown: string[] = [];
    for (const [command, ...args] of commands) {
      const output = await domain.virsh(command, ...args).catch((error: Error) => {
        return error.message.slice(error.message.indexOf("error: "));
      });
      shown.push(`$ virsh ${[command, ...args].join(" ")}`, ...output.split("\n"));
    }
    return shown
      .map((line) => line.trimEnd().replaceAll(folder, "FOLDER").replaceAll(domain.name, "DOMAIN"))
      .map((line) => line.replace(/52:54:00(?::[0-9a-f]{2}){3}/, "MAC"))
      .filter((line) => line !== "")
      .join("\n");
  };

  test("guestinfo", async () => {
    const varying = /^(os\.kernel-|fs\..*-bytes|if\.1\.addr\.[12]|if\.1\.addr\.count)/;
    const shown = (await transcript(["guestinfo"]))
      .split("\n")
      .map((line) => line.replace(/ +: /, ": "))
      .filter((line) => !varying.test(line))
      .join("\n");
    expect(shown).toBe(`$ virsh guestinfo
user.count: 0
os.id: lab
os.name: Lab Linux
os.pretty-name: Lab Linux 1.0
os.version: 1.0
os.version-id: 1.0
os.machine: x86_64
os.variant: VM
os.variant-id: vm
timezone.name: UTC
timezone.offset: 0
hostname: lab-libvirt
fs.count: 2
fs.0.name: vda
fs.0.mountpoint: /mnt/data
fs.0.fstype: ext4
fs.0.disk.count: 1
fs.0.disk.0.alias: vda
fs.0.disk.0.device: /dev/vda
fs.1.name: vdb
fs.1.mountpoint: /mnt/logs
fs.1.fstype: xfs
fs.1.disk.count: 1
fs.1.disk.0.alias: vdb
fs.1.disk.0.device: /dev/vdb
disk.count: 2
disk.0.name: /dev/vda
disk.0.partition: no
disk.0.alias: vda
disk.1.name: /dev/vdb
disk.1.partition: no
disk.1.alias: vdb
if.count: 2
if.0.name: lo
if.0.hwaddr: 00:00:00:00:00:00
if.0.addr.count: 2
if.0.addr.0.type: ipv4
if.0.addr.0.addr: 127.0.0.1
if.0.addr.0.prefix: 8
if.0.addr.1.type: ipv6
if.0.addr.1.addr: ::1
if.0.addr.1.prefix: 128
if.1.name: eth0
if.1.hwaddr: MAC
if.1.addr.0.type: ipv4
if.1.addr.0.addr: 10.0.2.15
if.1.addr.0.prefix: 24`);
  });

  test("filesystems: domfsinfo, domfsfreeze, domfsthaw, domfstrim", async () => {
    const shown = await transcript(
      ["domfsinfo"],
      ["domfsfreeze"],
      ["domfsfreeze"],
      ["domtime"],
      ["domfsthaw"],
      ["domfsthaw"],
      ["domfsfreeze", "--mountpoint", "/mnt/data"],
      ["domfsthaw"],
      ["domfstrim"],
    );
    expect(shown).toBe(`$ virsh domfsinfo
 Mountpoint   Name   Type   Target
------------------------------------
 /mnt/data    vda    ext4   vda
 /mnt/logs    vdb    xfs    vdb
$ virsh domfsfreeze
Froze 2 filesystem(s)
$ virsh domfsfreeze
error: Unable to freeze filesystems
error: internal error: unable to execute QEMU agent command 'guest-fsfreeze-freeze': Command guest-fsfreeze-freeze has been disabled: the command is not allowed
$ virsh domtime
error: internal error: unable to execute QEMU agent command 'guest-get-time': Command guest-get-time has been disabled: the command is not allowed
$ virsh domfsthaw
Thawed 2 filesystem(s)
$ virsh domfsthaw
Thawed 0 filesystem(s)
$ virsh domfsfreeze --mountpoint /mnt/data
Froze 1 filesystem(s)
$ virsh domfsthaw
Thawed 1 filesystem(s)
$ virsh domfstrim`);
  });

  test("a write waits while frozen, and is done after the thaw", async () => {
    await domain.virsh("domfsfreeze");
    const write = domain.shell("echo late >/mnt/data/late");
    expect(await Promise.race([write.then(() => "written"), Bun.sleep(500).then(() => "waiting")])).toBe("waiting");
    await domain.virsh("domfsthaw");
    expect((await write).exitCode).toBe(0);
    expect((await domain.shell("cat /mnt/data/late")).stdout).toBe("late\n");
  });

  test("guestvcpus, and the kernel has as many as it was told", async () => {
    const shown = await transcript(
      ["guestvcpus"],
      ["setvcpus", "1", "--guest"],
      ["guestvcpus"],
      ["guestvcpus", "--cpulist", "1", "--enable"],
      ["guestvcpus"],
    );
    expect(shown).toBe(`$ virsh guestvcpus
vcpus          : 0-1
online         : 0-1
offlinable     : 1
$ virsh setvcpus 1 --guest
$ virsh guestvcpus
vcpus          : 0-1
online         : 0
offlinable     : 1
$ virsh guestvcpus --cpulist 1 --enable
$ virsh guestvcpus
vcpus          : 0-1
online         : 0-1
offlinable     : 1`);
  });

  test("set-user-password", async () => {
    expect(await transcript(["set-user-password", "user", "correct horse"])).toBe(
      "$ virsh set-user-password user correct horse\nPassword set successfully for user in DOMAIN",
    );
    const [, hash = ""] = (await domain.shell("grep ^user: /etc/shadow")).stdout.split(":");
    expect(await mustRun(["perl", "-e", "print crypt($ARGV[0], $ARGV[1])", "correct horse", hash])).toBe(hash);
    const refused = domain.virsh("set-user-password", "nobody-here", "x");
    await expect(refused).rejects.toThrow("child process has failed to set user password: chpasswd:");
  });

  test("set-user-sshkeys and get-user-sshkeys", async () => {
    const keys = [
      "AAAAC3NzaC1lZDI1NTE5AAAAIGEga2V5IGZvciBhIHRlc3QsIG5vdCByZWFsIQ a@lab",
      "AAAAB3NzaC1yc2EAAAADAQAB b@lab",
    ];
    await Bun.write(join(folder, "a"), `ssh-ed25519 ${keys[0]}\n`);
    await Bun.write(join(folder, "b"), `ssh-rsa ${keys[1]}\n`);
    const shown = await transcript(
      ["set-user-sshkeys", "root", "--file", join(folder, "a")],
      ["set-user-sshkeys", "root", "--file", join(folder, "b")],
      ["set-user-sshkeys", "root", "--remove", "--file", join(folder, "a")],
      ["get-user-sshkeys", "root"],
      ["get-user-sshkeys", "nobody-here"],
    );
    expect(shown).toBe(`$ virsh set-user-sshkeys root --file FOLDER/a
$ virsh set-user-sshkeys root --file FOLDER/b
$ virsh set-user-sshkeys root --remove --file FOLDER/a
$ virsh get-user-sshkeys root
ssh-rsa ${keys[1]}
$ virsh get-user-sshkeys nobody-here
error: internal error: unable to execute QEMU agent command 'guest-ssh-get-authorized-keys': failed to lookup user 'nobody-here': no such user`);
    const file = await domain.shell("stat -c %a /root/.ssh /root/.ssh/authorized_keys; cat /root/.ssh/authorized_keys");
    expect(file.stdout).toBe(`700\n600\nssh-rsa ${keys[1]}\n`);
  });

  test("domtime", async () => {
    const shown = await transcript(["domtime", "--time", "1000000000"]);
    expect(shown).toBe("$ virsh domtime --time 1000000000");
    expect(Number((await domain.shell("date +%s")).stdout) - 1_000_000_000).toBeLessThan(10);
    await domain.virsh("domtime", "--now");
    const [, seconds] = /^Time: (\d+)$/.exec(await domain.virsh("domtime")) ?? [];
    expect(Math.abs(Number(seconds) - Date.now() / 1000)).toBeLessThan(10);
  });

  test("domifaddr and domhostname", async () => {
    const shown = await transcript(["domifaddr", "--source", "agent"], ["domhostname", "--source", "agent"]);
    // IPv6 addresses of the card come when they come.
    const steady = shown.split("\n").filter((line) => !/ fe[c8]0::/.test(line));
    expect(steady.join("\n")).toBe(`$ virsh domifaddr --source agent
 Name       MAC address          Protocol     Address
-------------------------------------------------------------------------------
 lo         00:00:00:00:00:00    ipv4         127.0.0.1/8
 -          -                    ipv6         ::1/128
 eth0       MAC    ipv4         10.0.2.15/24
$ virsh domhostname --source agent
lab-libvirt`);
  });

  test("shutdown --mode agent ends the domain", async () => {
    expect(await transcript(["shutdown", "--mode", "agent"])).toBe(`$ virsh shutdown --mode agent
Domain 'DOMAIN' is being shutdown`);
    await waitFor(
      async () => {
        const states = await libvirt.virsh("list", "--all", "--name");
        return states.includes(domain.name) ? undefined : true;
      },
      30_000,
      async () => `it still runs:\n${await domain.consoleLog()}`,
      250,
    );
  });
});
