/**
 * A mount namespace whose only filesystems on block devices are those that a test makes: an agent that runs in there
 * can be told to freeze everything without this machine coming to a stop.
 *
 * Its root is a tmpfs with busybox and a copy of the agent. Nothing of this machine's disks is mounted in it; an agent
 * is not handed out before the kernel's own table of its mounts has said so.
 */

import { existsSync, readFileSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseMounts } from "../../platform/linux/mounts.ts";
import type { Availability } from "../lab/apt.ts";
import { dieWithParent, type Finished, mustRun, run, waitFor, within } from "../lab/process.ts";
import { connect, type QgaClient } from "../lab/qga-client.ts";
import { executableFiles, type GuestFile } from "../vm/image.ts";

/** What the jail is made with. */
export const jailPackages: readonly string[] = ["busybox-static", "e2fsprogs", "xfsprogs", "util-linux", "strace"];

/** Whether the kernel and the user's rights allow for it. */
export async function jailAvailability(): Promise<Availability> {
  if (process.getuid?.() !== 0) return { available: false, reason: "not root" };
  if ((await run(["unshare", "-m", "true"])).exitCode !== 0) {
    return { available: false, reason: "no mount namespaces here" };
  }
  if ((await run(["losetup", "--find"])).exitCode !== 0) return { available: false, reason: "no loop devices here" };
  return { available: true };
}

const project = resolve(import.meta.dir, "../..");

/** The agent's files on this machine and in the jail, and the words that run it there. */
async function agentFiles(): Promise<{ copies: [from: string, to: string][]; command: string[] }> {
  const executable = process.env.INGUEST_EXECUTABLE;
  const program = executable === undefined ? process.execPath : resolve(executable);
  const files = await executableFiles(program, "/agent");
  const copies = files.map(({ from, to }): [string, string] => [from ?? "", to]);
  if (executable !== undefined) return { copies, command: ["/agent"] };
  for (const part of ["package.json", "src", "platform", "node_modules/valibot"]) {
    copies.push([join(project, part), `/app/${part}`]);
  }
  return { copies, command: ["/agent", "/app/platform/linux/main.ts"] };
}

/** A running agent in the jail. */
export interface JailedAgent {
  pid: number;
  client: QgaClient;
  /** Another connection to it is not served while this one lasts. */
  reconnect(): Promise<QgaClient>;
  /** Both output streams so far. */
  log(): string;
  kill(signal: NodeJS.Signals): void;
  exited: Promise<number>;
}

export interface MountJail extends AsyncDisposable {
  /** A path of the jail as this machine sees it. */
  path(inside: string): string;
  /** Runs a command with busybox's shell in the jail. */
  run(command: string): Promise<Finished>;
  /** Like `run`, but gives stdout without the last line feed, and throws when it fails. */
  must(command: string): Promise<string>;
  /**
   * Puts a new filesystem on a loop device and mounts it.
   * @param image its file on this machine, made here; one in the jail as `path` gives it
   * @returns the image
   */
  mount(fs: "ext4" | "xfs", mountpoint: string, image?: string): Promise<string>;
  /**
   * Starts our agent with its state in /state.
   * @param args more options, which win over those
   * @param command another agent's words
   */
  start(args?: readonly string[], command?: readonly string[]): Promise<JailedAgent>;
}

const SETUP = `
  set -e
  mount --make-rprivate /
  mount -t tmpfs jail "$1"
  cd "$1"
  mkdir -p bin dev proc sys tmp run state mnt etc old
  cp "$(command -v busybox)" bin/busybox
  mount -t proc proc proc
  mount -t sysfs sysfs sys
  mount -t devtmpfs devtmpfs dev
  shift
  while [ $# -gt 0 ]; do
    mkdir -p "./$(dirname "$2")"
    cp -rL "$1" "./$2"
    shift 2
  done
  pivot_root . old
  exec /bin/busybox sh -c '/bin/busybox --install -s /bin && umount -l /old && echo ready && exec sleep 1000000'
`;

const SIZE_MB = 320;
/** A command on a frozen filesystem cannot even be killed; no test may be held up by it to its own end. */
const COMMAND_MS = 20_000;

const mounts = (pid: number) => parseMounts(readFileSync(`/proc/${pid}/mountinfo`));

/** Makes a jail. @param more files for it. @throws Error */
export async function makeJail(more: readonly GuestFile[] = []): Promise<MountJail> {
  const folder = await mkdtemp(join(tmpdir(), "inguest-jail-"));
  const root = join(folder, "root");
  await mustRun(["mkdir", root]);
  const { copies, command: ours } = await agentFiles();
  for (const { from, to } of more) if (from !== undefined) copies.push([from, to]);
  const holder = Bun.spawn([...dieWithParent, "unshare", "-m", "sh", "-c", SETUP, "sh", root, ...copies.flat()], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: Bun.file(join(folder, "errors")),
    env: { PATH: `/bin:${process.env.PATH}` },
  });
  const { value } = await within(holder.stdout.getReader().read(), 30_000, () => "the jail was not ready in time");
  if (value === undefined) throw new Error(`no jail: ${await Bun.file(join(folder, "errors")).text()}`);

  const enter = ["nsenter", "-t", String(holder.pid), "-m", "-r", "-w"];
  const env = { PATH: "/bin", LC_ALL: "C" };
  const path = (inside: string): string => `/proc/${holder.pid}/root${inside}`;
  const inJail: MountJail["run"] = (text) =>
    within(run([...enter, "/bin/sh", "-c", text], { env }), COMMAND_MS, () => `in the jail, not done: ${text}`);
  const must: MountJail["must"] = async (text) => {
    const { exitCode, stdout, stderr } = await inJail(text);
    if (exitCode !== 0) throw new Error(`in the jail, exit ${exitCode}: ${text}\n${stderr}${stdout}`);
    return stdout.replace(/\n$/, "");
  };
  const devices: string[] = [];
  const agents: JailedAgent[] = [];
  let images = 0;
  let runs = 0;

  /** @throws Error when a disk of this machine is mounted where the agent runs */
  const insist = (pid: number): void => {
    const own = statSync("/").dev;
    const foreign = mounts(pid).find(({ major, minor, source }) => {
      const device = ((major & 0xfff) << 8) | (minor & 0xff) | ((minor & ~0xff) << 12);
      return device === own || (major !== 0 && !source.startsWith("/dev/loop"));
    });
    if (foreign !== undefined) throw new Error(`not in a jail: ${foreign.source} is on ${foreign.mountpoint}`);
  };

  return {
    path,
    run: inJail,
    must,
    async mount(fs, mountpoint, image = join(folder, `${images++}.img`)) {
      await mustRun(["truncate", "-s", `${SIZE_MB}M`, image]);
      await mustRun(fs === "ext4" ? ["mkfs.ext4", "-q", "-F", image] : ["mkfs.xfs", "-q", image]);
      const device = (await mustRun(["losetup", "--find", "--show", image])).trim();
      devices.push(device);
      await must(`mkdir -p ${mountpoint} && mount -t ${fs} ${device} ${mountpoint}`);
      return image;
    },
    async start(args = [], command = ours) {
      const logPath = join(folder, `agent${runs++}.log`);
      const socket = "/run/agent.sock";
      await must(`rm -f ${socket}`);
      const own = ["-m", "unix-listen", "-p", socket, "-t", "/state", "-f", "/run/agent.pid"];
      const child = Bun.spawn([...dieWithParent, ...enter, ...command, ...own, ...args], {
        stdin: "ignore",
        stdout: Bun.file(logPath),
        stderr: Bun.file(logPath),
        env,
      });
      const log = (): string => (existsSync(logPath) ? readFileSync(logPath, "utf8") : "");
      await waitFor(
        () => existsSync(path(socket)) || child.exitCode !== null || undefined,
        10_000,
        () => `the agent made no socket: ${log()}`,
      );
      if (child.exitCode !== null) throw new Error(`the agent ended with ${child.exitCode}: ${log()}`);
      insist(child.pid);
      const client = await connect(path(socket));
      const agent: JailedAgent = {
        pid: child.pid,
        client,
        reconnect: () => connect(path(socket)),
        log,
        kill: (signal) => child.kill(signal),
        exited: child.exited,
      };
      agents.push(agent);
      return agent;
    },
    async [Symbol.asyncDispose]() {
      // A filesystem that stays frozen would outlive even its namespace.
      // One may have to wait for another, hence all at once.
      const thawAll = (): Promise<unknown> =>
        Promise.all(
          mounts(holder.pid)
            .filter(({ major }) => major !== 0)
            .map(({ mountpoint }) => inJail(`fsfreeze --unfreeze '${mountpoint}'`)),
        );
      for (const { client, kill } of agents) {
        client.close();
        kill("SIGKILL");
      }
      // An agent that hangs in a freeze ends only when what it waits for is thawed; what it froze then comes after.
      await thawAll();
      for (const { exited } of agents) await exited;
      await thawAll();
      for (const { major, mountpoint } of mounts(holder.pid).reverse()) {
        if (major !== 0) await inJail(`umount '${mountpoint}'`);
      }
      holder.kill("SIGKILL");
      await holder.exited;
      for (const device of devices.reverse()) await run(["losetup", "-d", device]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
