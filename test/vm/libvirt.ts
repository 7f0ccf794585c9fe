/** The same guests under libvirt, on a machine that need not have systemd. */

import { rmSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { dieWithParent, type Finished, mustRun, run, waitFor, within } from "../lab/process.ts";
import { connectShell } from "./guest-shell.ts";
import { baseImage, buildInitramfs, executableFiles, vmPackages } from "./image.ts";
import { agentPort, makeDisk, type VmOptions } from "./vm.ts";

/** Debian packages that a VM under libvirt needs. */
export const libvirtPackages: readonly string[] = [...vmPackages, "libvirt-daemon-system", "libvirt-clients"];

/** Runs virsh on the system's libvirt and gives its output. Throws an Error with virsh's text if it fails. */
export async function virsh(...args: readonly string[]): Promise<string> {
  return (await mustRun(virshCommand(args), { timeoutMs: 60_000 })).trim();
}

function virshCommand(args: readonly string[]): string[] {
  return ["virsh", "-q", "-c", "qemu:///system", ...args];
}

/** libvirt's daemons. */
export interface Libvirt {
  /** Ends the daemons that were started here; those of the machine are left alone. Stop the domains first. */
  stop(): Promise<void>;
}

/** Starts libvirt's daemons unless the machine runs them already, and waits until virsh gets an answer. */
export async function startLibvirt(): Promise<Libvirt> {
  const answers = async (): Promise<boolean> => (await run(virshCommand(["version"]))).exitCode === 0;
  if (await answers()) return { stop: async () => {} };
  const daemons = ["virtlogd", "libvirtd"].map((name) =>
    Bun.spawn([...dieWithParent, name], { stdin: "ignore", stdout: "ignore", stderr: "ignore" }),
  );
  const stop = async (): Promise<void> => {
    for (const daemon of daemons.toReversed()) {
      daemon.kill("SIGTERM");
      await within(daemon.exited, 5_000, () => "").catch(() => daemon.kill("SIGKILL"));
    }
  };
  try {
    await waitFor(
      async () => {
        const ended = daemons.find((daemon) => daemon.exitCode !== null);
        if (ended !== undefined) throw new Error(`a libvirt daemon ended with ${ended.exitCode}`);
        return (await answers()) || undefined;
      },
      30_000,
      () => "libvirtd does not answer",
      200,
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { stop };
}

/** What {@link domainXml} describes. */
export interface DomainSpec {
  name: string;
  vmlinuz: string;
  initramfs: string;
  kernelArgs?: string;
  memoryMB?: number;
  cpus?: number;
  maxCpus?: number;
  disks?: readonly { path: string; serial: string }[];
  /** Socket of the guest's shell. */
  shellSocket: string;
  /** File for the console's output. */
  consolePath: string;
}

/** A domain definition: the machine of {@link startVm} in libvirt's words, with the agent's channel. */
export function domainXml(spec: DomainSpec): string {
  const memory = spec.memoryMB ?? 1024;
  const maxCpus = spec.maxCpus ?? 4;
  const disks = (spec.disks ?? []).map(
    ({ path, serial }, index) => `
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' discard='unmap'/>
      <source file='${Bun.escapeHTML(path)}'/>
      <target dev='vd${String.fromCharCode(97 + index)}' bus='virtio'/>
      <serial>${Bun.escapeHTML(serial)}</serial>
    </disk>`,
  );
  return `<domain type='qemu'>
  <name>${Bun.escapeHTML(spec.name)}</name>
  <maxMemory slots='4' unit='MiB'>4096</maxMemory>
  <memory unit='MiB'>${memory}</memory>
  <vcpu current='${spec.cpus ?? 2}'>${maxCpus}</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>${Bun.escapeHTML(spec.vmlinuz)}</kernel>
    <initrd>${Bun.escapeHTML(spec.initramfs)}</initrd>
    <cmdline>console=ttyS0 quiet panic=-1 ${Bun.escapeHTML(spec.kernelArgs ?? "")}</cmdline>
  </os>
  <features><acpi/></features>
  <cpu mode='maximum'>
    <numa><cell id='0' cpus='0-${maxCpus - 1}' memory='${memory}' unit='MiB'/></numa>
  </cpu>
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <pm><suspend-to-mem enabled='yes'/></pm>
  <devices>${disks.join("")}
    <interface type='user'>
      <model type='virtio'/>
      <rom enabled='no'/>
    </interface>
    <serial type='file'><source path='${Bun.escapeHTML(spec.consolePath)}'/></serial>
    <channel type='unix'>
      <source mode='bind'/>
      <target type='virtio' name='${agentPort}'/>
    </channel>
    <channel type='unix'>
      <source mode='bind' path='${Bun.escapeHTML(spec.shellSocket)}'/>
      <target type='virtio' name='test.shell.0'/>
    </channel>
    <memballoon model='none'/>
  </devices>
</domain>
`;
}

/** Options of {@link startDomain}; as in {@link VmOptions}. */
export type DomainOptions = Pick<
  VmOptions,
  | "executables"
  | "files"
  | "disks"
  | "memoryMB"
  | "cpus"
  | "maxCpus"
  | "agentCommand"
  | "agentEnv"
  | "respawnAgent"
  | "hostname"
  | "kernelArgs"
>;

/** A running domain. */
export interface Domain {
  name: string;
  /** Milliseconds from `virsh create` until libvirt got its first answer from the agent. */
  bootMs: number;
  /** Runs a virsh command on this domain: the command's name, then what follows the domain's name. */
  virsh(command: string, ...args: readonly string[]): Promise<string>;
  /** Runs a shell command in the guest, past libvirt and the agent. */
  shell(command: string, timeoutMs?: number): Promise<Finished>;
  consoleLog(): Promise<string>;
  /** Destroys the domain and removes its files. May be called again. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Domains to destroy if the test process ends without having stopped them: QEMU is not its child here. */
const alive = new Set<string>();
process.on("exit", () => {
  for (const folder of alive) {
    Bun.spawnSync(virshCommand(["destroy", basename(folder)]));
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Creates a transient domain and waits until libvirt talks to its agent. Errors have the end of the console's output. */
export async function startDomain(options: DomainOptions): Promise<Domain> {
  // Not in /tmp: libvirt's AppArmor profile and the user that QEMU runs as know this place.
  const folder = await mkdtemp("/var/lib/libvirt/inguest-");
  const name = basename(folder);
  alive.add(folder);
  const consolePath = join(folder, "console.log");
  const shellSocket = join(folder, "shell.sock");
  let closeShell = (): void => {};
  const stop = async (): Promise<void> => {
    closeShell();
    await run(virshCommand(["destroy", name]));
    alive.delete(folder);
    await rm(folder, { recursive: true, force: true });
  };
  const consoleLog = async (): Promise<string> =>
    (await Bun.file(consolePath).exists()) ? Bun.file(consolePath).text() : "";

  try {
    await chmod(folder, 0o755);
    const { disks = [] } = options;
    const image = await baseImage();
    const executables = await Promise.all((options.executables ?? []).map(({ from, to }) => executableFiles(from, to)));
    const initramfs = join(folder, "initramfs");
    const vmlinuz = join(folder, "vmlinuz");
    const mounts = disks.flatMap(({ name: serial, fs, mount }) =>
      fs === undefined || mount === undefined ? [] : [{ serial, type: fs, mountpoint: mount }],
    );
    const files = [...executables.flat(), ...(options.files ?? [])];
    await Promise.all([
      ...disks.map((disk) => makeDisk(disk, join(folder, `${disk.name}.img`))),
      buildInitramfs(initramfs, image, { ...options, ports: [agentPort], files, mounts }),
      mustRun(["cp", image.vmlinuz, vmlinuz]),
    ]);
    const xml = domainXml({
      ...options,
      name,
      vmlinuz,
      initramfs,
      shellSocket,
      consolePath,
      disks: disks.map((disk) => ({ path: join(folder, `${disk.name}.img`), serial: disk.name })),
    });
    const xmlPath = join(folder, "domain.xml");
    await Bun.write(xmlPath, xml);

    const started = performance.now();
    await virsh("create", xmlPath);
    const shell = await connectShell(shellSocket);
    closeShell = shell.close;
    await within(shell.ready, 90_000, () => "the guest's shell did not answer within 90 s");
    const ping = virshCommand(["qemu-agent-command", name, '{"execute":"guest-ping"}']);
    await waitFor(
      async () => ((await run(ping)).exitCode === 0 ? true : undefined),
      30_000,
      async () => `the agent does not answer libvirt: ${(await run(ping)).stderr}`,
      250,
    );
    return {
      name,
      bootMs: Math.round(performance.now() - started),
      virsh: (command, ...args) => virsh(command, name, ...args),
      shell: shell.run,
      consoleLog,
      stop,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    const tail = (await consoleLog()).split(/\r?\n/).slice(-60).join("\n");
    await stop();
    throw new Error(`${error instanceof Error ? error.message : error}\n--- console:\n${tail}`, { cause: error });
  }
}
