/**
 * The same guests under a libvirt of our own, on a machine that need not have systemd:
 *
 *     const libvirt = await startLibvirt();
 *     const domain = await startDomain(libvirt, await agentInGuest());
 *     await domain.virsh("domfsfreeze");
 */

import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { type Availability, ensurePackages } from "../lab/apt.ts";
import { dieWithParent, type Finished, mustRun, run, waitFor, within } from "../lab/process.ts";
import { connectShell } from "./guest-shell.ts";
import { baseImage, buildInitramfs, executableFiles, vmPackages } from "./image.ts";
import { agentPort, makeDisk, type VmOptions, vmAvailability } from "./vm.ts";

/** Debian packages that a VM under libvirt needs. */
export const libvirtPackages: readonly string[] = [...vmPackages, "libvirt-daemon-system", "libvirt-clients"];

/** Whether a domain can be had, as in {@link vmAvailability}. */
export async function libvirtAvailability(...preparations: readonly (() => Promise<unknown>)[]): Promise<Availability> {
  const packages = await ensurePackages(libvirtPackages);
  if (!packages.available) return packages;
  return vmAvailability(() => mustRun([...namespace, "true"]), ...preparations);
}

/** A libvirt daemon that nobody else sees. */
export interface Libvirt {
  /** Runs virsh and gives its output without the last newline. Throws an Error with virsh's text if it fails. */
  virsh(...args: readonly string[]): Promise<string>;
  /** The words that run a virsh which talks with it. */
  readonly command: readonly string[];
  /** Kills the daemon and all domains. May be called again. */
  stop(): Promise<void>;
}

/** The words that run a program in mount and process namespaces of its own; it is the first process there. */
const namespace: readonly string[] = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"];

/**
 * What the daemon needs of the machine's folders is hidden under empty ones, with a configuration that leaves out what a
 * test machine may not have: control groups, a security module, a user of its own.
 */
const daemonScript = `set -e
for folder in /run /etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt; do
  mkdir -p $folder
  mount -t tmpfs tmpfs $folder
done
cat >/etc/libvirt/qemu.conf <<END
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
stdio_handler = "file"
cgroup_controllers = [ ]
END
libvirtd &
wait $!
`;

/**
 * Starts libvirtd as the machine's root, in mount and process namespaces of its own (unshare(1), Linux), and waits until
 * virsh gets an answer. The shell stays as the namespace's first process: it reaps the QEMU processes that libvirt lets
 * go of and then waits for, and with it everything that was started here ends.
 */
export async function startLibvirt(): Promise<Libvirt> {
  const folder = await mkdtemp(join(tmpdir(), "inguest-libvirt-"));
  const logPath = join(folder, "libvirtd.log");
  const daemon = Bun.spawn([...dieWithParent, ...namespace, "sh", "-c", daemonScript], {
    stdin: "ignore",
    stdout: Bun.file(logPath),
    stderr: Bun.file(logPath),
  });
  const stop = async (): Promise<void> => {
    daemon.kill("SIGKILL");
    await daemon.exited;
    await rm(folder, { recursive: true, force: true });
  };
  const log = async (): Promise<string> => ((await Bun.file(logPath).exists()) ? Bun.file(logPath).text() : "");
  const inside = async (): Promise<string[] | undefined> => {
    const { stdout } = await run(["pgrep", "-P", `${daemon.pid}`]);
    const init = stdout.trim();
    return init === "" ? undefined : ["nsenter", "-t", init, "-m", "virsh", "-c", "qemu:///system"];
  };
  try {
    const command = await waitFor(
      async () => {
        if (daemon.exitCode !== null) throw new Error(`libvirtd ended with ${daemon.exitCode}: ${await log()}`);
        const virsh = await inside();
        return virsh !== undefined && (await run([...virsh, "version"])).exitCode === 0 ? virsh : undefined;
      },
      30_000,
      async () => `libvirtd does not answer: ${await log()}`,
      100,
    );
    return {
      virsh: async (...args) => (await mustRun([...command, ...args], { timeoutMs: 60_000 })).trimEnd(),
      command,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
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

/** Folders to remove if the test process ends without having stopped its domains; libvirtd and QEMU die by themselves. */
const alive = new Set<string>();
process.on("exit", () => {
  for (const folder of alive) rmSync(folder, { recursive: true, force: true });
});

/** Creates a transient domain and waits until libvirt talks to its agent. Errors have the end of the console's output. */
export async function startDomain(libvirt: Libvirt, options: DomainOptions): Promise<Domain> {
  const folder = await mkdtemp(join(tmpdir(), "inguest-dom-"));
  const name = basename(folder);
  alive.add(folder);
  const consolePath = join(folder, "console.log");
  const shellSocket = join(folder, "shell.sock");
  let closeShell = (): void => {};
  const stop = async (): Promise<void> => {
    closeShell();
    // It may have ended by itself, or the daemon with it.
    await libvirt.virsh("destroy", name).catch(() => {});
    alive.delete(folder);
    await rm(folder, { recursive: true, force: true });
  };
  const consoleLog = async (): Promise<string> =>
    (await Bun.file(consolePath).exists()) ? Bun.file(consolePath).text() : "";

  try {
    const { disks = [] } = options;
    const image = await baseImage();
    const executables = await Promise.all((options.executables ?? []).map(({ from, to }) => executableFiles(from, to)));
    const initramfs = join(folder, "initramfs");
    const mounts = disks.flatMap(({ name: serial, fs, mount }) =>
      fs === undefined || mount === undefined ? [] : [{ serial, type: fs, mountpoint: mount }],
    );
    const files = [...executables.flat(), ...(options.files ?? [])];
    await Promise.all([
      ...disks.map((disk) => makeDisk(disk, join(folder, `${disk.name}.img`))),
      buildInitramfs(initramfs, image, { ...options, ports: [agentPort], files, mounts }),
    ]);
    const xml = domainXml({
      ...options,
      name,
      vmlinuz: image.vmlinuz,
      initramfs,
      shellSocket,
      consolePath,
      disks: disks.map((disk) => ({ path: join(folder, `${disk.name}.img`), serial: disk.name })),
    });
    const xmlPath = join(folder, "domain.xml");
    await Bun.write(xmlPath, xml);

    const started = performance.now();
    await libvirt.virsh("create", xmlPath);
    const shell = await connectShell(shellSocket);
    closeShell = shell.close;
    await within(shell.ready, 90_000, () => "the guest's shell did not answer within 90 s");
    let refusal: unknown;
    const ping = (): Promise<string | undefined> =>
      libvirt.virsh("qemu-agent-command", name, '{"execute":"guest-ping"}').catch((error: unknown) => {
        refusal = error;
        return undefined;
      });
    await waitFor(ping, 30_000, () => `the agent does not answer libvirt: ${refusal}`, 100);
    return {
      name,
      bootMs: Math.round(performance.now() - started),
      virsh: (command, ...args) => libvirt.virsh(command, name, ...args),
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
