import { describe, expect, test } from "bun:test";
import { chmodSync } from "node:fs";
import { examineClock } from "../../platform/linux/doctor/clock.ts";
import { examineFilesystems, examineHook, examineState } from "../../platform/linux/doctor/filesystems.ts";
import { examineDriver, examinePorts } from "../../platform/linux/doctor/ports.ts";
import { examineConfinement } from "../../platform/linux/doctor/rights.ts";
import { processesOf, rivalProcesses } from "../../platform/linux/install/rivals.ts";
import type { Finding, Patient } from "../../src/guest.ts";
import { fileTree, type Tree } from "../lab/file-tree.ts";

const NAME = "org.qemu.guest_agent.0";
const patient: Patient = {
  devices: [],
  knownPorts: [NAME, "com.redhat.rhevm.vdsm"],
  statedir: "/state",
  freezeMark: "/state/frozen",
  channelAdvice: "add a channel",
};

const inTree = <T>(tree: Tree, examine: (root: string) => T): T => {
  using made = fileTree(tree);
  return examine(made.root);
};

const verdicts = (findings: readonly Finding[]): string[] =>
  findings.map(({ check, verdict }) => `${check} ${verdict}`);

const DEVICE = "/sys/bus/virtio/devices/virtio3";

describe("the driver", () => {
  test.each<[string, Tree, string[]]>([
    ["no device at all", {}, ["driver fail"]],
    ["other devices only", { [`${DEVICE}/device`]: "0x0001\n" }, ["driver fail"]],
    ["a controller without a driver", { [`${DEVICE}/device`]: "0x0003\n" }, ["driver fail"]],
    ["a controller with a driver", { [`${DEVICE}/device`]: "0x0003\n", [`${DEVICE}/driver/`]: "" }, ["driver ok"]],
    ["garbage", { [`${DEVICE}/device`]: "?\n" }, ["driver fail"]],
  ])("%s", (_name, tree, expected) => {
    expect(verdicts(inTree(tree, (root) => examineDriver(patient, root)))).toEqual(expected);
  });

  test("is nobody's business without virtio", () => {
    expect(examineDriver({ ...patient, knownPorts: [], devices: ["/dev/ttyS0"] }, "/nowhere")).toEqual([]);
  });

  test("is told how to be had", () => {
    expect(inTree({ [`${DEVICE}/device`]: "0x0003\n" }, (root) => examineDriver(patient, root))[0]?.fix).toContain(
      "modprobe virtio_console",
    );
  });
});

describe("the port", () => {
  const named = (name: string): Tree => ({ "/sys/class/virtio-ports/vport1p1/name": `${name}\n` });

  test("of another name does not count, and is told", () => {
    const [found] = inTree(named("com.example.0"), (root) => examinePorts(patient, root));
    expect(found).toMatchObject({ verdict: "fail", text: expect.stringContaining("only com.example.0") });
  });

  test("without a link is told how to get one", () => {
    const [found] = inTree(named(NAME), (root) => examinePorts(patient, root));
    expect(found).toMatchObject({
      verdict: "fail",
      fix: expect.stringContaining(`ln -s ../vport1p1 /dev/virtio-ports/${NAME}`),
    });
  });

  test("that nobody has open is a warning", () => {
    const tree = { ...named(NAME), [`/dev/virtio-ports/${NAME}`]: "" };
    const [found] = inTree(tree, (root) => examinePorts(patient, root));
    expect(found).toMatchObject({ verdict: "warn", text: expect.stringContaining("no agent has it open") });
  });

  test("that the settings name must be there", () => {
    const named = { ...patient, devices: ["/dev/ttyS9"] };
    expect(verdicts(inTree({}, (root) => examinePorts(named, root)))).toEqual(["port fail"]);
  });

  test("is not needed for a socket", () => {
    expect(verdicts(examinePorts({ ...patient, knownPorts: [] }, "/nowhere"))).toEqual(["port ok"]);
  });
});

describe("security modules", () => {
  const label = (text: string): Tree => ({ "/proc/7/attr/current": text });
  const selinux: Tree = { "/sys/fs/selinux/enforce": "1" };
  const apparmor: Tree = { "/sys/module/apparmor/parameters/enabled": "Y\n" };

  test.each<[string, Tree, string[]]>([
    ["none", {}, ["security ok"]],
    ["permissive", { "/sys/fs/selinux/enforce": "0" }, ["selinux ok"]],
    ["not confined", { ...selinux, ...label("system_u:system_r:unconfined_service_t:s0\0") }, ["selinux ok"]],
    ["the agent's domain", { ...selinux, ...label("system_u:system_r:virt_qemu_ga_t:s0\0") }, ["selinux warn"]],
    ["no profile", { ...apparmor, ...label("unconfined\n") }, ["apparmor ok"]],
    ["a profile", { ...apparmor, ...label("/usr/bin/inguest (enforce)\n") }, ["apparmor warn"]],
  ])("%s", (_name, tree, expected) => {
    expect(verdicts(inTree(tree, (root) => examineConfinement([7], root)))).toEqual(expected);
  });
});

describe("freezing", () => {
  const line = (id: number, mountpoint: string, type: string, options = "rw"): string =>
    `${id} 1 8:${id} / ${mountpoint} ${options} - ${type} /dev/sda${id} rw\n`;

  test.each<[string, string, string]>([
    [
      "one that can and one that cannot",
      line(1, "/", "ext4") + line(2, "/efi", "vfat"),
      "ok can be frozen: /; /efi (vfat) cannot",
    ],
    ["one that is read-only", line(1, "/", "ext4") + line(2, "/ro", "ext4", "ro"), "ok can be frozen: /"],
    ["none", line(2, "/efi", "vfat"), "warn no filesystem can be frozen; /efi (vfat) cannot"],
  ])("%s", (_name, table, expected) => {
    const [found] = inTree({ "/proc/self/mountinfo": table }, (root) => examineFilesystems(patient, root));
    expect(`${found?.verdict} ${found?.text}`).toBe(expected);
  });

  test("that has not been undone is a failure", () => {
    expect(verdicts(inTree({ "/state/frozen": "" }, (root) => examineFilesystems(patient, root)))).toEqual([
      "freeze fail",
    ]);
  });

  test.each<[string, number | undefined, string]>([
    ["is not there", undefined, "hook fail"],
    ["is not executable", 0o644, "hook fail"],
    ["can be changed by others", 0o757, "hook warn"],
    ["is fine", 0o755, "hook ok"],
  ])("with a hook that %s", (_name, mode, expected) => {
    using tree = fileTree(mode === undefined ? {} : { "/hook": "" });
    if (mode !== undefined) chmodSync(`${tree.root}/hook`, mode);
    const isOthers = process.getuid?.() !== 0 && expected === "hook ok";
    expect(verdicts(examineHook({ ...patient, fsfreezeHook: "/hook" }, tree.root))).toEqual([
      isOthers ? "hook warn" : expected,
    ]);
  });

  test("needs a directory for the state", () => {
    expect(verdicts(inTree({ "/state/": "" }, (root) => examineState(patient, root)))).toEqual(["state ok"]);
    expect(verdicts(inTree({}, (root) => examineState(patient, root)))).toEqual(["state fail"]);
  });
});

describe("the clock", () => {
  const source = (current: string): Tree => ({
    "/sys/devices/system/clocksource/clocksource0/current_clocksource": `${current}\n`,
    "/sys/devices/system/clocksource/clocksource0/available_clocksource": `hpet kvm-clock\n`,
  });
  const hardware = (seconds: number): Tree => ({ "/sys/class/rtc/rtc0/since_epoch": `${seconds}\n` });

  test.each<[string, Tree, string]>([
    ["no hardware clock", source("kvm-clock"), "ok source kvm-clock"],
    ["one that agrees", { ...source("tsc"), ...hardware(997) }, "ok source tsc, and the hardware clock agrees"],
    ["one that is behind", { ...source("tsc"), ...hardware(900) }, "warn 100 s ahead of the hardware clock"],
    ["one that is ahead", { ...source("tsc"), ...hardware(1100) }, "warn 100 s behind the hardware clock"],
    ["a poor source", source("hpet"), "warn the clock source hpet is slow and imprecise"],
    ["nothing known", {}, "ok source unknown"],
  ])("%s", (_name, tree, expected) => {
    const [found] = inTree(tree, (root) => examineClock(1000, root));
    expect(`${found?.verdict} ${found?.text}`).toBe(expected);
  });

  test("in local time is not compared", () => {
    const tree = { ...source("tsc"), ...hardware(8200), "/etc/adjtime": "0.0 0 0.0\n0\nLOCAL\n" };
    expect(inTree(tree, (root) => examineClock(1000, root))[0]?.verdict).toBe("ok");
  });
});

describe("other agents", () => {
  const process = (pid: number, comm: string, words: readonly string[]): Tree => ({
    [`/proc/${pid}/comm`]: `${comm}\n`,
    [`/proc/${pid}/cmdline`]: `${words.join("\0")}\0`,
  });

  test("are told from what only has their name in it", () => {
    const tree = {
      ...process(2, "qemu-ga", ["/usr/sbin/qemu-ga", "-d"]),
      ...process(3, "python3", ["/usr/bin/python3", "/usr/share/ovirt-guest-agent/ovirt-guest-agent.py"]),
      ...process(4, "vi", ["vi", "/etc/ovirt-guest-agent.conf"]),
      ...process(5, "qemu-ga", ["/usr/sbin/qemu-ga"]),
      "/proc/5/exe": { link: "/usr/bin/inguest" },
      ...process(6, "inguest", ["/usr/local/bin/inguest"]),
    };
    expect(inTree(tree, rivalProcesses)).toEqual([
      { pid: 2, name: "qemu-ga" },
      { pid: 3, name: "ovirt-guest-agent" },
    ]);
  });

  test("and nothing runs where there is no /proc", () => {
    expect(rivalProcesses("/nowhere")).toEqual([]);
    expect(processesOf("/usr/local/bin/inguest", "/nowhere")).toEqual([]);
  });
});
