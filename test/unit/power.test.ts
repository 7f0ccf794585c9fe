/** How guests of all kinds are shut down; that it works is seen in test/vm/power.test.ts. */

import { describe, expect, test } from "bun:test";
import { heedsSignal, type ShutdownMeans, shutdownWays } from "../../platform/linux/power.ts";

interface System {
  /** Files of programs, and the executables behind them. */
  programs: Record<string, string>;
  paths?: readonly string[];
  /** Signals that the first process heeds. */
  signals?: readonly number[];
}

const meansOf = ({ programs, paths = [], signals = [] }: System): ShutdownMeans => ({
  find: (...names) => {
    const files = Object.keys(programs);
    return names
      .map((name) => files.find((file) => file === name || file.endsWith(`/${name}`)))
      .find((file) => file !== undefined);
  },
  behind: (file) => programs[file] ?? "",
  exists: (path) => paths.includes(path),
  initHeeds: (signal) => signals.includes(signal),
});

const busyboxSignals = [10, 12, 15];

const systemd: System = {
  programs: {
    "/sbin/shutdown": "systemctl",
    "/bin/systemctl": "systemctl",
    "/sbin/poweroff": "systemctl",
    "/sbin/reboot": "systemctl",
    "/sbin/halt": "systemctl",
    "/bin/busybox": "busybox",
  },
  paths: ["/run/systemd/system"],
  signals: busyboxSignals,
};
const alpine: System = {
  programs: {
    "/sbin/poweroff": "busybox",
    "/sbin/reboot": "busybox",
    "/sbin/halt": "busybox",
    "/bin/busybox": "busybox",
    "/sbin/openrc-shutdown": "openrc-shutdown",
  },
  signals: busyboxSignals,
};

/** First way in each mode, as a line. */
const first = (system: System): string[] =>
  (["powerdown", "reboot", "halt"] as const).map(
    (mode) => shutdownWays(mode, "bye", 0, meansOf(system))[0]?.argv.join(" ") ?? "kernel",
  );

describe("the first way to shut down", () => {
  test.each<[string, System, string[]]>([
    ["systemd", systemd, ["/sbin/shutdown -h -P +0 bye", "/sbin/shutdown -h -r +0 bye", "/sbin/shutdown -h -H +0 bye"]],
    [
      "systemd without links",
      { ...systemd, programs: { "/bin/systemctl": "systemctl" } },
      ["/bin/systemctl poweroff", "/bin/systemctl reboot", "/bin/systemctl halt"],
    ],
    ["systemd's programs under another init", { ...systemd, paths: [], signals: [] }, ["kernel", "kernel", "kernel"]],
    [
      "SysV",
      { programs: { "/sbin/shutdown": "shutdown", "/sbin/poweroff": "halt", "/bin/busybox": "busybox" } },
      ["/sbin/shutdown -h -P +0 bye", "/sbin/shutdown -h -r +0 bye", "/sbin/shutdown -h -H +0 bye"],
    ],
    ["busybox init", alpine, ["/sbin/poweroff", "/sbin/reboot", "/sbin/halt"]],
    [
      "busybox init without links",
      { programs: { "/bin/busybox": "busybox" }, signals: busyboxSignals },
      ["/bin/busybox poweroff", "/bin/busybox reboot", "/bin/busybox halt"],
    ],
    ["busybox under an init that does not listen", { ...alpine, signals: [] }, ["kernel", "kernel", "kernel"]],
    [
      "OpenRC's own init",
      { ...alpine, paths: ["/run/openrc/init.ctl"], signals: [] },
      ["/sbin/openrc-shutdown -p now", "/sbin/openrc-shutdown -r now", "/sbin/openrc-shutdown -H now"],
    ],
    [
      "OpenRC with its program in the place of shutdown",
      {
        programs: { "/sbin/shutdown": "openrc-shutdown", "/sbin/openrc-shutdown": "openrc-shutdown" },
        paths: ["/run/openrc/init.ctl"],
      },
      ["/sbin/openrc-shutdown -p now", "/sbin/openrc-shutdown -r now", "/sbin/openrc-shutdown -H now"],
    ],
    [
      "runit",
      { programs: { "/sbin/init": "runit-init", "/sbin/shutdown": "shutdown", "/sbin/poweroff": "shutdown" } },
      ["/sbin/init 0", "/sbin/init 6", "/sbin/init 0"],
    ],
    [
      "an init with one program",
      { programs: { "/usr/bin/poweroff": "poweroff" } },
      ["/usr/bin/poweroff", "kernel", "kernel"],
    ],
    ["nothing", { programs: {} }, ["kernel", "kernel", "kernel"]],
  ])("%s", (_, system, expected) => {
    expect(first(system)).toEqual(expected);
  });

  test("minutes are counted by systemd, and by the agent for all others", () => {
    const [bySystemd, direct] = shutdownWays("reboot", "bye", 5, meansOf(systemd));
    expect(bySystemd).toEqual({ argv: ["/sbin/shutdown", "-h", "-r", "+5", "bye"], waits: true });
    expect(direct).toEqual({ argv: ["/bin/systemctl", "reboot"], waits: false });
    const [bySysV] = shutdownWays("reboot", "bye", 5, meansOf({ programs: { "/sbin/shutdown": "shutdown" } }));
    expect(bySysV).toEqual({ argv: ["/sbin/shutdown", "-h", "-r", "+0", "bye"], waits: false });
  });
});

test.each([
  ["SigBlk:\t0000000000000000\nSigIgn:\t0000000000000a00\nSigCgt:\t0000000000000000\n", false],
  ["SigBlk:\t0000000000000000\nSigCgt:\t0000000000000800\n", true],
  ["SigBlk:\t0000000000000800\nSigCgt:\t0000000000000000\n", true],
  ["SigBlk:\t0000000000000400\nSigCgt:\tfffffffffffff7ff\n", false],
  ["", true],
  ["SigBlk:\tgarbled\nSigCgt:\t0000000000000000\n", true],
])("whether the first process heeds SIGUSR2: %j", (status, expected) => {
  expect(heedsSignal(status, 12)).toBe(expected);
});
