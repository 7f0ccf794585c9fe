/**
 * Installing below the init systems that are neither systemd nor busybox: in place of the qemu-ga that Debian has for
 * them, and alone.
 */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeWith, ensurePackages } from "../lab/apt.ts";
import { type Finished, waitFor } from "../lab/process.ts";
import { isObject, type QgaClient } from "../lab/qga-client.ts";
import { compiledAgent } from "../vm/agent.ts";
import type { DebianInitName } from "../vm/debian-inits.ts";
import { debianDisk, debianDiskPackages } from "../vm/debian-root.ts";
import { agentPort, startVm, type Vm, type VmOptions, vmAvailability } from "../vm/vm.ts";
import { fileList, INSTALL_MS, lastingGuest, SOURCE, steps } from "./in-vm.ts";
import { makeSourceDisk } from "./source.ts";

setDefaultTimeout(900_000);

const INGUEST = "/usr/local/bin/inguest";
/** A verb of a service, under emulation. */
const VERB_MS = 60_000;
const ANSWER_MS = 60_000;

interface Verbs {
  readonly start: string;
  readonly stop: string;
  readonly status: string;
}

interface Init {
  readonly name: Exclude<DebianInitName, "systemd">;
  readonly verbs: Verbs;
  /** What `inguest doctor` says how the agent is started. */
  readonly advice: string;
  /** What the verb for the state says of an agent that was stopped, and how it exits. */
  readonly stopped: { readonly exitCode: number; readonly says: string };
  /** What it says of one that was killed; where it is started again there is none. */
  readonly killed?: { readonly exitCode: number; readonly says: string };
  /** Where more options for the agent are. */
  readonly settings: string;
  /** Whether `start` refuses settings that are wrong, rather than trying again and again. */
  readonly refusesSettings: boolean;
  /** Stops the qemu-ga of Debian's package and keeps it from being started, as its administrator would. */
  readonly withoutPeer: string;
}

const INITS: readonly Init[] = [
  {
    name: "sysv",
    verbs: { start: "service inguest start", stop: "service inguest stop", status: "service inguest status" },
    advice: "/etc/init.d/inguest start",
    stopped: { exitCode: 3, says: "inguest does not run" },
    killed: { exitCode: 1, says: "was not stopped" },
    settings: "/etc/default/inguest",
    refusesSettings: true,
    withoutPeer: "service qemu-guest-agent stop; update-rc.d qemu-guest-agent disable",
  },
  {
    name: "openrc",
    verbs: { start: "rc-service inguest start", stop: "rc-service inguest stop", status: "rc-service inguest status" },
    advice: "rc-service inguest start",
    stopped: { exitCode: 3, says: "status: stopped" },
    settings: "/etc/conf.d/inguest",
    refusesSettings: true,
    withoutPeer: "rc-service qemu-guest-agent stop; rc-update del qemu-guest-agent",
  },
  {
    name: "runit",
    verbs: { start: "sv start inguest", stop: "sv stop inguest", status: "sv status inguest" },
    advice: "sv start /etc/sv/inguest",
    stopped: { exitCode: 0, says: "down: inguest" },
    settings: "/etc/sv/inguest/conf",
    refusesSettings: false,
    withoutPeer: "/etc/init.d/qemu-guest-agent stop; update-rc.d qemu-guest-agent disable",
  },
];

const PEER_SETTINGS = "/etc/default/qemu-guest-agent";

const pidOf = (vm: Vm, program: string): Promise<string> => vm.guest(`pidof ${program} || true`);

/** The agent's process, when there is one that is not `other`. */
const newPid = (vm: Vm, other = ""): Promise<string> =>
  waitFor(
    async () => {
      const pid = await pidOf(vm, "inguest");
      return /^\d+$/.test(pid) && pid !== other ? pid : undefined;
    },
    VERB_MS,
    () => "inguest is not started",
  );

const noProcess = (vm: Vm): Promise<boolean> =>
  waitFor(
    async () => (await pidOf(vm, "inguest")) === "" || undefined,
    VERB_MS,
    () => "inguest does not end",
  );

/** Asks once, on a connection of its own. */
async function asked<T>(vm: Vm, question: (agent: QgaClient) => Promise<T>): Promise<T> {
  const agent = await vm.waitForAgent(agentPort, ANSWER_MS);
  try {
    return await question(agent);
  } finally {
    agent.close();
  }
}

const mustAnswer = (vm: Vm): Promise<void> =>
  asked(vm, async (agent) => expect(await agent.call("guest-ping")).toEqual({}));

/** The commands that are refused. */
const disabled = (vm: Vm): Promise<string[]> =>
  asked(vm, async (agent) => {
    const info = await agent.call("guest-info");
    const commands = isObject(info) && Array.isArray(info.supported_commands) ? info.supported_commands : [];
    return commands.flatMap((command) =>
      isObject(command) && command.enabled === false && typeof command.name === "string" ? [command.name] : [],
    );
  });

async function stateOf(vm: Vm, { verbs }: Init): Promise<{ exitCode: number; says: string }> {
  const { exitCode, stdout, stderr } = await vm.shell(verbs.status, VERB_MS);
  return { exitCode, says: stdout + stderr };
}

const thatSays = ({ exitCode, says }: { readonly exitCode: number; readonly says: string }) => ({
  exitCode,
  says: expect.stringContaining(says),
});

const install = (vm: Vm, ...options: readonly string[]): Promise<Finished> =>
  vm.shell(["sh /mnt/install.sh", ...options].join(" "), INSTALL_MS);

async function mustInstall(vm: Vm, ...options: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await install(vm, ...options);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  return stdout;
}

/** While the agent runs: dies, is stopped and started. */
async function tryService(vm: Vm, init: Init): Promise<void> {
  const { verbs, advice, killed, stopped } = init;
  const first = await newPid(vm);
  expect((await stateOf(vm, init)).exitCode).toBe(0);

  await vm.guest(`kill -9 ${first}`);
  if (killed === undefined) {
    await newPid(vm, first);
  } else {
    await noProcess(vm);
    expect(await stateOf(vm, init)).toEqual(thatSays(killed));
    await vm.guest(verbs.start, VERB_MS);
  }
  await mustAnswer(vm);
  expect((await stateOf(vm, init)).exitCode).toBe(0);

  await vm.guest(verbs.stop, VERB_MS);
  expect(await pidOf(vm, "inguest")).toBe("");
  expect(await stateOf(vm, init)).toEqual(thatSays(stopped));
  const { stdout } = await vm.shell(`${INGUEST} doctor`);
  expect(stdout).toContain("inguest does not run");
  expect(stdout).toContain(`-> start the agent: ${advice}\n`);
  expect(stdout).not.toContain("systemctl");
}

/** While it is stopped; it is started. */
async function trySettings(vm: Vm, init: Init): Promise<void> {
  const { verbs, settings, refusesSettings } = init;
  if (refusesSettings) {
    await vm.guest(`echo 'INGUEST_ARGS=--nonsense' >${settings}`);
    const { exitCode, stdout, stderr } = await vm.shell(verbs.start, VERB_MS);
    expect(exitCode).not.toBe(0);
    expect(stdout + stderr).toContain("unrecognized option '--nonsense'");
    expect((await stateOf(vm, init)).exitCode).not.toBe(0);
  }
  await vm.guest(`echo 'INGUEST_ARGS="--block-rpcs=guest-file-open --verbose"' >${settings}`);
  await vm.guest(verbs.start, VERB_MS);
  expect((await disabled(vm)).sort()).toEqual(["guest-exec", "guest-file-open"]);
  await vm.guest(`rm ${settings}; ${verbs.stop}; ${verbs.start}`, VERB_MS);
  expect(await disabled(vm)).toEqual(["guest-exec"]);
}

/** In place of qemu-ga, which runs. The VM is switched off in the end. */
async function replacePeer(options: VmOptions, init: Init): Promise<string[]> {
  await using vm = await startVm(options);
  // Debian's OpenRC has no such directory until it is needed.
  await vm.guest(`mkdir -p /etc/conf.d; echo 'DAEMON_ARGS="-b guest-exec"' >${PEER_SETTINGS}; mount -r ${SOURCE} /mnt`);
  const before = await fileList(vm);
  await mustAnswer(vm);

  const refused = await install(vm);
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toMatch(/qemu-ga runs, process \d+; the service \S*qemu-guest-agent is installed .*--replace/);
  expect(await pidOf(vm, "qemu-ga")).not.toBe("");

  expect(steps(await mustInstall(vm, "--replace"))).toContain("done");
  expect(await disabled(vm)).toEqual(["guest-exec"]);
  expect(await pidOf(vm, "qemu-ga")).toBe("");
  const pid = await newPid(vm);
  expect(steps(await vm.guest(`${INGUEST} install --replace`, INSTALL_MS))).toEqual(["as is"]);
  expect(await pidOf(vm, "inguest")).toBe(pid);

  await tryService(vm, init);
  await trySettings(vm, init);
  const agent = await vm.waitForAgent(agentPort, ANSWER_MS);
  agent.send("guest-shutdown");
  await vm.exited;
  return before;
}

describeWith("in one line, below the init of", await readiness(), () => {
  let folder = "";
  let source = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "inguest-inits-"));
    source = await makeSourceDisk(folder);
  });
  afterAll(() => rm(folder, { recursive: true }));

  test.concurrent.each(INITS.map((init) => [init.name, init] as const))("%s", async (name, init) => {
    const own = await mkdtemp(join(folder, `${name}-`));
    const options = await lastingGuest(await diskOf(name), source, own);
    const before = await replacePeer(options, init);

    await using vm = await startVm(options);
    await mustAnswer(vm);
    expect(await pidOf(vm, "qemu-ga")).toBe("");
    expect((await stateOf(vm, init)).exitCode).toBe(0);
    const findings: unknown = JSON.parse(await vm.guest(`${INGUEST} doctor --json`));
    expect(Array.isArray(findings) && findings.filter(({ verdict }) => verdict === "fail")).toEqual([]);

    await vm.guest(`${INGUEST} uninstall`, VERB_MS);
    await noProcess(vm);
    expect(await fileList(vm)).toEqual(before);
    expect(await pidOf(vm, "qemu-ga")).not.toBe("");
    await mustAnswer(vm);

    await vm.guest(`${init.withoutPeer}; mount -r ${SOURCE} /mnt`, VERB_MS);
    const alone = await fileList(vm);
    await mustInstall(vm);
    await mustAnswer(vm);
    await vm.guest(`${INGUEST} uninstall`, VERB_MS);
    await noProcess(vm);
    expect(await fileList(vm)).toEqual(alone);
  });
});

function diskOf(name: DebianInitName): Promise<string> {
  return debianDisk(["qemu-guest-agent"], {}, name);
}

async function readiness() {
  const packages = await ensurePackages(debianDiskPackages);
  return packages.available
    ? vmAvailability(
        compiledAgent,
        ...INITS.map(
          ({ name }) =>
            () =>
              diskOf(name),
        ),
      )
    : packages;
}
