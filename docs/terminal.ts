/**
 * Draws docs/terminal.svg: a shell on a host, with an agent in a virtual machine at the other end. All of it is run; root
 * on Debian is needed, as for the tests.
 */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { ensurePackages } from "../test/lab/apt.ts";
import { waitFor } from "../test/lab/process.ts";
import { makeSourceDisk, sourceDiskArgs } from "../test/packaging/source.ts";
import { compiledAgent } from "../test/vm/agent.ts";
import { debianDisk, debianDiskPackages, debianGuest } from "../test/vm/debian-root.ts";
import { startVm, type Vm } from "../test/vm/vm.ts";
import { drawScreen, screenOf } from "./screen.ts";

const PATH = join(import.meta.dir, "terminal.svg");
const COLUMNS = 86;
const STEP_MS = 60_000;
const PROMPT = "\x1b[32m$\x1b[0m \x1b[1m";

/** What is typed. The picture is taken in the midst of the last one. */
const LINES = [
  "inguest ctl --socket web1.sock info",
  "inguest ctl --socket web1.sock pull /etc/apt web1-apt",
  "inguest ctl --socket web1.sock pull /srv/backup.tar",
];
const IN_THE_MIDST = / 6\d% /;

/** What makes the machine look like one that does something. */
const PREPARATION = `
hostname web1
mount -r /dev/disk/by-id/virtio-source /mnt
cp /mnt/inguest-linux-x64 /usr/bin/inguest
umount /mnt
mount /dev/disk/by-id/virtio-data /srv
head -c 96M /dev/urandom >/srv/backup.tar
mkdir -p /run/systemd/network
printf '[Match]\\nName=en* eth*\\n[Network]\\nDHCP=yes\\n' >/run/systemd/network/lan.network
systemctl restart systemd-networkd systemd-udev-trigger
/usr/lib/systemd/systemd-networkd-wait-online --any --timeout=20
systemd-run --unit=inguest inguest
`;

async function startGuest(folder: string): Promise<Vm> {
  const { extraArgs, ...guest } = await debianGuest(await debianDisk());
  const vm = await startVm({
    ...guest,
    extraArgs: [...extraArgs, ...sourceDiskArgs(await makeSourceDisk(folder))],
    disks: [{ name: "data", sizeMB: 256, fs: "ext4" }],
  });
  await vm.guest(`set -e; ${PREPARATION}`, STEP_MS);
  const agent = await vm.waitForAgent();
  await agent.call("guest-set-time", { time: Date.now() * 1e6 });
  // The port has room for one host.
  agent.close();
  return vm;
}

/** Types the lines into a shell. @returns what has come to its terminal */
async function record(folder: string): Promise<string> {
  let output = "";
  const decoder = new TextDecoder();
  const shell = Bun.spawn(["bash", "--norc", "--noprofile", "--noediting", "-i"], {
    cwd: folder,
    env: {
      PATH: `${folder}:/usr/bin:/bin`,
      PS1: PROMPT,
      PS0: "\x1b[0m",
      TERM: "xterm",
      LC_ALL: "C.UTF-8",
      HISTFILE: "",
    },
    terminal: {
      cols: COLUMNS,
      rows: 50,
      data: (_terminal, bytes) => {
        output += decoder.decode(bytes, { stream: true });
      },
    },
  });
  const terminal = shell.terminal!;
  const after = (from: number, what: RegExp): Promise<number> =>
    waitFor(
      () => {
        const at = output.slice(from).search(what);
        return at < 0 ? undefined : from + at;
      },
      STEP_MS,
      () => `${what} was not seen in:\n${output}`,
    );
  const prompt = new RegExp(PROMPT.replace(/[$[]/g, "\\$&"));
  const begin = await after(0, prompt);
  for (const [index, line] of LINES.entries()) {
    const from = output.length;
    terminal.write(`${line}\n`);
    await after(from, index < LINES.length - 1 ? prompt : IN_THE_MIDST);
  }
  const text = output.slice(begin);
  shell.kill("SIGHUP");
  await shell.exited;
  return text;
}

const packages = await ensurePackages(debianDiskPackages);
if (!packages.available) throw new Error(packages.reason);
const folder = mkdtempSync(join(tmpdir(), "inguest-terminal-"));
try {
  await using vm = await startGuest(folder);
  const desk = join(folder, "desk");
  mkdirSync(desk);
  symlinkSync(resolve(await compiledAgent()), join(desk, "inguest"));
  symlinkSync(vm.agentSocket(), join(desk, "web1.sock"));
  writeFileSync(PATH, drawScreen(screenOf(await record(desk), COLUMNS), COLUMNS, LINES.join("; ")));
} finally {
  rmSync(folder, { recursive: true });
}
