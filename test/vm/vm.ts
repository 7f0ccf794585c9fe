/**
 * A throw-away virtual machine under QEMU's emulation (no KVM needed), as a test sees it:
 *
 *     await using vm = await startVm({ ...(await agentInGuest()), disks: [{ name: "data", sizeMB: 64, fs: "ext4", mount: "/mnt/data" }] });
 *     const agent = await vm.waitForAgent();
 *     expect(await agent.call("guest-fsfreeze-freeze")).toBe(1);
 *
 * A suite asks {@link vmAvailability} first, whether there can be one on this machine.
 */

import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Availability, availabilityOf, ensurePackages } from "../lab/apt.ts";
import { dieWithParent, type Finished, mustRun, waitFor, within } from "../lab/process.ts";
import { connect, type Json, type QgaClient } from "../lab/qga-client.ts";
import { connectShell, type GuestShell } from "./guest-shell.ts";
import { baseImage, buildInitramfs, executableFiles, type GuestFile, type KernelName, vmPackages } from "./image.ts";
import { connectQmp, type Qmp, type QmpEvent } from "./qmp.ts";

/** The port name that hosts expect of a QEMU guest agent. */
export const agentPort = "org.qemu.guest_agent.0";

/** A virtio disk, made anew for each VM. */
export interface VmDisk {
  /** Its serial number, up to 20 characters. */
  name: string;
  sizeMB: number;
  /** Made on this machine before the boot; left out, the disk is blank. */
  fs?: "ext4" | "xfs";
  /** Where the guest mounts it at boot. */
  mount?: string;
}

/** Options of {@link startVm}. */
export interface VmOptions {
  /** Programs of this machine; the shared libraries that they need come along. */
  executables?: readonly { from: string; to: string }[];
  /** More files, just as they are. */
  files?: readonly GuestFile[];
  disks?: readonly VmDisk[];
  /** MiB; 1024 unless told. */
  memoryMB?: number;
  /** MiB with all 4 memory slots filled; 4096 unless told. */
  maxMemoryMB?: number;
  /** 2 of 4 unless told. */
  cpus?: number;
  maxCpus?: number;
  /** QEMU's name of the CPU; `max` unless told. */
  cpuModel?: string;
  /** Names of virtio-serial ports; the agent's usual one unless told. */
  ports?: readonly string[];
  /** Names of ports that are not there until {@link Vm.plugPort}. */
  latePorts?: readonly string[];
  /** Additional ISA serial ports, named for {@link Vm.agentSocket}; the first is ttyS1 in the guest. */
  serialPorts?: readonly string[];
  /** The agent's command line. It is started when all ports are there, with its output in the guest's agent log. */
  agentCommand?: readonly string[];
  /** Start the agent again when it ends. */
  respawnAgent?: boolean;
  hostname?: string;
  /** A virtio network card on QEMU's user network, cut off from the outside; true unless told. */
  network?: boolean;
  extraArgs?: readonly string[];
  /** `cloud` unless told. */
  kernel?: KernelName;
  kernelArgs?: string;
  /** Milliseconds until the guest's shell must answer; 90 000 unless told. */
  bootTimeoutMs?: number;
}

/** A running VM. */
export interface Vm {
  /** Milliseconds from the start of QEMU to the first word of the guest's shell. */
  bootMs: number;
  /** The unix socket on this machine behind a port. */
  agentSocket(port?: string): string;
  /** Connects to an agent and waits until it answers. */
  waitForAgent(port?: string, timeoutMs?: number): Promise<QgaClient>;
  /** Runs a shell command in the guest, past the agent. */
  shell(command: string, timeoutMs?: number): Promise<Finished>;
  /** Like `shell`, but gives stdout without the last newline and throws if the command fails. */
  guest(command: string, timeoutMs?: number): Promise<string>;
  qmp(command: string, args?: { [key: string]: Json }): Promise<Json>;
  /** Takes or awaits a QMP event. */
  event(name: string, timeoutMs?: number, matches?: (event: QmpEvent) => boolean): Promise<QmpEvent>;
  forgetEvents(): void;
  /** Removes a virtio-serial port from the running guest; resolves when QEMU says that it is gone. */
  unplugPort(port?: string): Promise<void>;
  /** Puts it back, or brings one of {@link VmOptions.latePorts}. */
  plugPort(port?: string): Promise<void>;
  /**
   * Wakes the guest from a suspend to RAM and waits until its shell answers.
   * A guest with a hot-added CPU, removed again or not, does not come back: QEMU or its firmware breaks.
   */
  wakeUp(): Promise<void>;
  /** What the agent has printed so far. */
  agentLog(): Promise<string>;
  /** What the guest's kernel and QEMU itself have printed so far. */
  consoleLog(): Promise<string>;
  /** The image file of a disk on this machine. */
  diskPath(name: string): string;
  /** The process id of QEMU. */
  pid: number;
  /** Resolves when QEMU has ended, for example after the guest has powered off. */
  exited: Promise<number>;
  /** Kills QEMU and removes all files of the VM. May be called again. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Whether a VM can be had: packages, kernel and image are there now, or fetched. The suite's own preparations (its agent,
 * for one) may be given too; what they throw is the reason.
 */
export async function vmAvailability(...preparations: readonly (() => Promise<unknown>)[]): Promise<Availability> {
  const packages = await ensurePackages(vmPackages);
  if (!packages.available) return packages;
  return availabilityOf(() => Promise.all([() => baseImage(), ...preparations].map((prepare) => prepare())));
}

/** Folders and processes to remove if the test process ends without having stopped its VMs. */
const alive = new Map<string, () => void>();
process.on("exit", () => {
  for (const [folder, kill] of alive) {
    kill();
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Boots a VM and waits until its shell answers. If anything fails, the Error has the end of the console's output. */
export async function startVm(options: VmOptions = {}): Promise<Vm> {
  const folder = await mkdtemp(join(tmpdir(), "inguest-vm-"));
  alive.set(folder, () => {});
  try {
    return await boot(options, folder);
  } catch (error) {
    alive.get(folder)?.();
    alive.delete(folder);
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function boot(options: VmOptions, folder: string): Promise<Vm> {
  const { disks = [], ports = [agentPort], latePorts = [], serialPorts = [] } = options;
  const diskPath = (name: string): string => join(folder, `${name}.img`);
  const socketPath = (name: string): string => join(folder, `${name}.sock`);
  const initramfs = join(folder, "initramfs");
  const image = await baseImage(options.kernel);
  const executables = await Promise.all((options.executables ?? []).map(({ from, to }) => executableFiles(from, to)));
  await Promise.all([
    ...disks.map((disk) => makeDisk(disk, diskPath(disk.name))),
    buildInitramfs(initramfs, image, {
      ...options,
      ports,
      files: [...executables.flat(), ...(options.files ?? [])],
      mounts: disks.flatMap(({ name, fs, mount }) =>
        fs === undefined || mount === undefined ? [] : [{ serial: name, type: fs, mountpoint: mount }],
      ),
    }),
  ]);

  const consolePath = join(folder, "console.log");
  const errorPath = join(folder, "qemu.log");
  const argv = [
    ...["-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", options.cpuModel ?? "max"],
    ...["-smp", `${options.cpus ?? 2},maxcpus=${options.maxCpus ?? 4}`],
    ...["-m", `${options.memoryMB ?? 1024}M,slots=4,maxmem=${options.maxMemoryMB ?? 4096}M`],
    ...["-display", "none", "-nodefaults", "-no-reboot"],
    ...["-kernel", image.vmlinuz, "-initrd", initramfs],
    ...["-append", `console=ttyS0 quiet panic=-1 ${options.kernelArgs ?? ""}`],
    ...["-serial", `file:${consolePath}`],
    ...["-qmp", `unix:${socketPath("qmp")},server=on,wait=off`],
    ...disks.flatMap(({ name }) => diskArgs(name, diskPath(name))),
    ...["-device", "virtio-serial-pci,id=agents"],
    ...ports.flatMap((name) => [...chardev(name, socketPath(name)), "-device", portDevice(name, "agents")]),
    ...latePorts.flatMap((name) => chardev(name, socketPath(name))),
    // On a controller of its own, so that nothing which is done to the agent's gets in its way.
    ...["-device", "virtio-serial-pci,id=lab"],
    ...[...chardev("test.shell.0", socketPath("shell")), "-device", portDevice("test.shell.0", "lab")],
    ...serialPorts.flatMap((name) => [...chardev(name, socketPath(name)), "-serial", `chardev:${chardevId(name)}`]),
    ...(options.network === false
      ? []
      : ["-netdev", "user,id=net,restrict=on", "-device", "virtio-net-pci,netdev=net,romfile="]),
    ...(options.extraArgs ?? []),
  ];
  const started = performance.now();
  const child = Bun.spawn([...dieWithParent, "qemu-system-x86_64", ...argv], {
    stdin: "ignore",
    stdout: Bun.file(errorPath),
    stderr: Bun.file(errorPath),
  });
  alive.set(folder, () => child.kill("SIGKILL"));

  const textOf = async (path: string): Promise<string> =>
    (await Bun.file(path).exists()) ? Bun.file(path).text() : "";
  const consoleLog = async (): Promise<string> => (await textOf(consolePath)) + (await textOf(errorPath));
  /** Adds the end of the console's output to whatever goes wrong. */
  const explained = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      const tail = (await consoleLog()).split(/\r?\n/).slice(-60).join("\n");
      const state = child.exitCode === null ? "running" : `ended with ${child.exitCode}`;
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(`${message}\n--- QEMU is ${state}; console:\n${tail}`, { cause: error });
    }
  };

  let qmp: Qmp | undefined;
  let shell: GuestShell | undefined;
  const clients: QgaClient[] = [];
  const stop = async (): Promise<void> => {
    for (const each of [...clients, qmp, shell]) each?.close();
    child.kill("SIGKILL");
    await child.exited;
    alive.delete(folder);
    await rm(folder, { recursive: true, force: true });
  };
  const connectWhenThere = async <T>(open: () => Promise<T>): Promise<T> =>
    waitFor(
      async () => {
        if (child.exitCode !== null) throw new Error("QEMU did not start");
        return open().catch(() => undefined);
      },
      10_000,
      () => "QEMU made no socket",
    );

  const opened = await explained(
    (async () => {
      const control = await connectWhenThere(() => connectQmp(socketPath("qmp")));
      const commands = await connectWhenThere(() => connectShell(socketPath("shell")));
      const limit = options.bootTimeoutMs ?? 90_000;
      await within(commands.ready, limit, () => `the guest's shell did not answer within ${limit} ms`);
      return { control, commands };
    })(),
  );
  qmp = opened.control;
  shell = opened.commands;
  const { control, commands } = opened;

  const guest = async (command: string, timeoutMs?: number): Promise<string> => {
    const { exitCode, stdout, stderr } = await explained(commands.run(command, timeoutMs));
    if (exitCode !== 0) throw new Error(`in the guest, exit ${exitCode}: ${command}\n${stderr}${stdout}`);
    return stdout.replace(/\n$/, "");
  };
  const agentLog = (): Promise<string> => guest("cat /lab/run/agent.log");
  const agentSocket = (port: string = agentPort): string => socketPath(port);

  return {
    bootMs: Math.round(performance.now() - started),
    agentSocket,
    async waitForAgent(port = agentPort, timeoutMs = 30_000) {
      const client = await explained(connect(agentSocket(port)));
      clients.push(client);
      try {
        await client.sync({ timeoutMs });
      } catch (error) {
        client.close();
        const log = await agentLog().catch(() => "none");
        await explained(
          Promise.reject(new Error(`${error instanceof Error ? error.message : error}\n--- agent's output: ${log}`)),
        );
      }
      return client;
    },
    shell: (command, timeoutMs) => explained(commands.run(command, timeoutMs)),
    guest,
    qmp: (command, args) => explained(control.execute(command, args)),
    event: (name, timeoutMs, matches) => explained(control.event(name, timeoutMs, matches)),
    forgetEvents: control.forgetEvents,
    async unplugPort(port = agentPort) {
      const id = portId(port);
      await explained(control.execute("device_del", { id }));
      await explained(control.event("DEVICE_DELETED", 10_000, (event) => event.data.device === id));
    },
    async plugPort(port = agentPort) {
      const device = {
        driver: "virtserialport",
        bus: "agents.0",
        chardev: chardevId(port),
        name: port,
        id: portId(port),
      };
      await explained(control.execute("device_add", device));
    },
    async wakeUp() {
      await explained(control.execute("system_wakeup"));
      await explained(control.event("WAKEUP"));
      await guest("/lab/after-wake");
    },
    agentLog,
    consoleLog,
    diskPath,
    pid: child.pid,
    exited: child.exited,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Makes the image file of a disk, with its filesystem. */
export async function makeDisk(disk: VmDisk, path: string): Promise<void> {
  await mustRun(["truncate", "-s", `${disk.sizeMB}M`, path]);
  if (disk.fs === "ext4") await mustRun(["mkfs.ext4", "-q", "-F", path]);
  if (disk.fs === "xfs") await mustRun(["mkfs.xfs", "-q", path]);
}

// QEMU's ids may not begin with a digit, and a name is not the same thing as an id.
const chardevId = (name: string): string => `chardev-${name}`;
const portId = (name: string): string => `port-${name}`;

function chardev(name: string, path: string): string[] {
  return ["-chardev", `socket,id=${chardevId(name)},path=${path},server=on,wait=off`];
}

function portDevice(name: string, controller: string): string {
  return `virtserialport,bus=${controller}.0,chardev=${chardevId(name)},name=${name},id=${portId(name)}`;
}

function diskArgs(name: string, path: string): string[] {
  const drive = `file=${path},id=drive-${name},if=none,format=raw,discard=unmap`;
  return ["-drive", drive, "-device", `virtio-blk-pci,drive=drive-${name},serial=${name},id=disk-${name}`];
}
