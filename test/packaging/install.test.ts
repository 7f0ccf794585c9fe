/** `inguest install` and `uninstall` in systems of every kind that do not run. */

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { type Finished, mustRun, run } from "../lab/process.ts";
import { compiledAgent } from "../vm/agent.ts";
import { makeSystem, type System } from "./root.ts";

setDefaultTimeout(120_000);

const agent = await compiledAgent();

const inguest = (verb: string, { root }: System, ...options: readonly string[]): Promise<Finished> =>
  run([agent, verb, `--root=${root}`, ...options]);

async function must(verb: string, system: System, ...options: readonly string[]): Promise<string[]> {
  const { exitCode, stdout, stderr } = await inguest(verb, system, ...options);
  if (exitCode !== 0) throw new Error(stderr);
  return stdout.trimEnd().split("\n");
}

const states = (lines: readonly string[]): string[] =>
  [...new Set(lines.map((line) => line.slice(0, 6).trim()))].sort();

/** What makes a directory a system of that kind, and which new files start the agent there. */
const SYSTEMS: Readonly<Record<string, { readonly commands: string; readonly starting: readonly string[] }>> = {
  systemd: {
    commands: "mkdir -p sbin etc/systemd/system lib/systemd; ln -s ../lib/systemd/systemd sbin/init",
    starting: ["/etc/systemd/system/inguest.service", "/etc/udev/rules.d/60-inguest.rules"],
  },
  openrc: {
    commands: "mkdir -p sbin etc/init.d etc/runlevels/default; touch sbin/openrc-run; ln -s /bin/busybox sbin/init",
    starting: ["/etc/init.d/inguest", "/etc/runlevels/default/inguest"],
  },
  runit: {
    commands: "mkdir -p sbin etc/sv etc/runit/runsvdir/default; ln -s runit-init sbin/init",
    starting: ["/etc/runit/runsvdir/default/inguest", "/etc/sv/inguest/run"],
  },
  busybox: {
    commands: "mkdir -p sbin etc; ln -s ../bin/busybox sbin/init; printf '::sysinit:/boot\\n' >etc/inittab",
    starting: ["/etc/inittab"],
  },
  "busybox without a table": {
    commands: "mkdir -p sbin etc; ln -s ../bin/busybox sbin/init",
    starting: ["/etc/inittab"],
  },
  sysv: {
    commands: "mkdir -p sbin etc/init.d; for level in 0 1 2 3 4 5 6; do mkdir etc/rc$level.d; done; touch sbin/init",
    starting: ["/etc/init.d/inguest", "/etc/rc3.d/S20inguest", "/etc/rc6.d/K80inguest"],
  },
};

describe.each(Object.entries(SYSTEMS))("%s", (name, { commands, starting }) => {
  test("is found out, gets the agent, and is what it was afterwards", async () => {
    await using system = await makeSystem(commands);
    const before = system.tree();

    expect(states(await must("install", system, "--dry-run"))).toEqual(["to do"]);
    expect(system.tree()).toEqual(before);

    expect(states(await must("install", system))).toEqual(["done"]);
    const installed = system.tree();
    const program = `${system.root}/usr/local/bin/inguest`;
    expect(readFileSync(program).equals(readFileSync(agent))).toBe(true);
    const changed = Object.keys(installed).filter((path) => installed[path] !== before[path]);
    for (const path of starting) expect(changed).toContain(path);
    const texts = starting
      .filter((path) => installed[path]?.startsWith("file"))
      .map((path) => readFileSync(`${system.root}${path}`, "utf8"));
    expect(texts.join("")).not.toContain("/usr/bin/inguest");
    if (name !== "systemd") expect(texts.join("")).toContain("/usr/local/bin/inguest");

    expect(states(await must("install", system))).toEqual(["as is"]);
    expect(system.tree()).toEqual(installed);

    await must("uninstall", system);
    expect(system.tree()).toEqual(before);
  });
});

describe("with the lists of insserv", () => {
  const START = "/etc/init.d/.depend.start";
  const commands = `${SYSTEMS.sysv?.commands}
printf 'TARGETS = qemu-guest-agent rc.local\\nINTERACTIVE =\\nrc.local: qemu-guest-agent\\n' >etc/init.d/.depend.start
printf 'TARGETS = sendsigs halt\\nhalt: sendsigs\\n' >etc/init.d/.depend.stop
ln -s ../init.d/qemu-guest-agent etc/rc2.d/S01qemu-guest-agent`;
  const textOf = ({ root }: System, path: string): string => readFileSync(`${root}${path}`, "utf8");

  test("the script is in them, and the lists are what they were afterwards", async () => {
    await using system = await makeSystem(commands);
    const before = system.tree();
    await must("install", system, "--replace");
    expect(textOf(system, START)).toBe(
      "TARGETS = qemu-guest-agent rc.local inguest\nINTERACTIVE =\nrc.local: qemu-guest-agent\n",
    );
    expect(textOf(system, "/etc/init.d/.depend.stop")).toBe("TARGETS = sendsigs halt inguest\nhalt: sendsigs\n");
    expect(states(await must("install", system, "--replace"))).toEqual(["as is"]);
    await must("uninstall", system);
    expect(system.tree()).toEqual(before);
  });

  test("links that got other numbers are found again", async () => {
    await using system = await makeSystem(commands);
    await must("install", system, "--replace");
    await mustRun(["sh", "-ec", "for link in etc/rc?.d/S20inguest; do mv $link $" + "{link%/*}/S01inguest; done"], {
      cwd: system.root,
    });
    // As insserv(8) writes it anew, which passes over scripts that no level starts.
    writeFileSync(`${system.root}${START}`, "TARGETS = inguest rc.local\nINTERACTIVE =\nrc.local: inguest\n");
    const lines = await must("install", system, "--replace");
    expect(lines.filter((line) => !line.startsWith("as is"))).toEqual([
      expect.stringContaining("write /var/lib/inguest/installed.json"),
    ]);
    expect(Object.keys(system.tree()).filter((path) => path.includes("S20"))).toEqual([]);
    // As update-rc.d(8) disables it.
    await mustRun(
      ["sh", "-ec", "for level in 2 3 4 5; do mv etc/rc$level.d/S01inguest etc/rc$level.d/K01inguest; done"],
      {
        cwd: system.root,
      },
    );
    writeFileSync(`${system.root}${START}`, "TARGETS = rc.local\nINTERACTIVE =\nrc.local:\n");
    await must("install", system, "--replace");
    expect(textOf(system, START)).not.toContain("inguest");
    await must("uninstall", system);
    expect(textOf(system, START)).toBe("TARGETS = rc.local qemu-guest-agent\nINTERACTIVE =\nrc.local:\n");
    expect(Object.keys(system.tree()).filter((path) => path.includes("inguest"))).toEqual([]);
    expect(system.tree()["/etc/rc2.d/S01qemu-guest-agent"]).toBe("link ../init.d/qemu-guest-agent");
  });
});

describe("settings", () => {
  const commands = SYSTEMS.systemd?.commands ?? "";
  const config = "/etc/qemu/qemu-ga.conf";

  test("that were there stay, before and after", async () => {
    await using system = await makeSystem(`${commands}; mkdir etc/qemu; echo '[general]' >etc/qemu/qemu-ga.conf`);
    const before = system.tree();
    await must("install", system);
    expect(system.tree()[config]).toBe(before[config]);
    await must("uninstall", system);
    expect(system.tree()).toEqual(before);
  });

  test("that were changed stay until they are purged", async () => {
    await using system = await makeSystem(commands);
    const before = system.tree();
    await must("install", system);
    writeFileSync(`${system.root}${config}`, "[general]\nverbose=true\n");
    // The second installation must not take them for its own.
    await must("install", system);
    const lines = await must("uninstall", system);
    expect(lines).toContain(`as is  keep ${config}, which was changed (--purge removes it)`);
    expect(readFileSync(`${system.root}${config}`, "utf8")).toContain("verbose");
    await must("install", system);
    await must("uninstall", system, "--purge");
    expect(existsSync(`${system.root}${config}`)).toBe(existsSync(`${system.root}/etc/qemu`));
    expect(Object.keys(before).every((path) => path in system.tree())).toBe(true);
  });

  test("that name another way than a port have it started at boot", async () => {
    const link = "/etc/systemd/system/multi-user.target.wants/inguest.service";
    await using system = await makeSystem(
      `${commands}; mkdir etc/qemu; printf '[general]\\nmethod=isa-serial\\n' >etc/qemu/qemu-ga.conf`,
    );
    const before = system.tree();
    await must("install", system);
    expect(readlinkSync(`${system.root}${link}`)).toBe("/etc/systemd/system/inguest.service");
    await must("uninstall", system);
    expect(system.tree()).toEqual(before);
  });

  test("that are wrong stop it before anything is done", async () => {
    await using system = await makeSystem(
      `${commands}; mkdir etc/default; echo 'DAEMON_ARGS=--nonsense' >etc/default/qemu-guest-agent`,
    );
    const before = system.tree();
    const { exitCode, stderr } = await inguest("install", system);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("/etc/default/qemu-guest-agent: DAEMON_ARGS: unrecognized option '--nonsense'");
    expect(system.tree()).toEqual(before);
  });
});

describe("another agent", () => {
  /** By init: what makes its service one that starts, and what is left of that after --replace. */
  const RIVALS: Readonly<
    Record<
      string,
      {
        readonly init?: string;
        readonly commands: string;
        readonly mark: string;
        readonly replaced: string | undefined;
      }
    >
  > = {
    systemd: {
      commands: "mkdir -p usr/lib/systemd/system; touch usr/lib/systemd/system/qemu-guest-agent.service",
      mark: "/etc/systemd/system/qemu-guest-agent.service",
      replaced: "link /dev/null",
    },
    openrc: {
      commands: "touch etc/init.d/qemu-guest-agent; ln -s /etc/init.d/qemu-guest-agent etc/runlevels/default/",
      mark: "/etc/runlevels/default/qemu-guest-agent",
      replaced: undefined,
    },
    runit: {
      commands: "mkdir etc/sv/qemu-ga; ln -s /etc/sv/qemu-ga etc/runit/runsvdir/default/",
      mark: "/etc/runit/runsvdir/default/qemu-ga",
      replaced: undefined,
    },
    "runit that runs the scripts of SysV": {
      init: "runit",
      commands: "mkdir etc/rc2.d etc/init.d; ln -s ../init.d/qemu-guest-agent etc/rc2.d/S01qemu-guest-agent",
      mark: "/etc/rc2.d/S01qemu-guest-agent",
      replaced: undefined,
    },
    sysv: {
      commands: "touch etc/init.d/ovirt-guest-agent; ln -s ../init.d/ovirt-guest-agent etc/rc3.d/S90ovirt-guest-agent",
      mark: "/etc/rc3.d/S90ovirt-guest-agent",
      replaced: undefined,
    },
  };

  test.each(Object.entries(RIVALS))("below %s is only replaced when asked for, and comes back", async (name, rival) => {
    await using system = await makeSystem(`${SYSTEMS[rival.init ?? name]?.commands}; ${rival.commands}`);
    const before = system.tree();
    const { exitCode, stderr } = await inguest("install", system);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("--replace");
    expect(system.tree()).toEqual(before);

    await must("install", system, "--replace");
    expect(system.tree()[rival.mark]).toBe(rival.replaced);
    expect(states(await must("install", system, "--replace"))).toEqual(["as is"]);
    await must("uninstall", system);
    expect(system.tree()).toEqual(before);
  });

  test("in busybox's table is taken out and put back", async () => {
    const line = "::respawn:/usr/bin/qemu-ga";
    await using system = await makeSystem(`${SYSTEMS.busybox?.commands}; echo '${line}' >>etc/inittab`);
    await must("install", system, "--replace");
    expect(readFileSync(`${system.root}/etc/inittab`, "utf8").split("\n")).not.toContain(line);
    await must("uninstall", system);
    expect(readFileSync(`${system.root}/etc/inittab`, "utf8")).toBe(`::sysinit:/boot\n${line}\n`);
  });
});

describe("refused", () => {
  test("where nothing is known to run services", async () => {
    await using system = await makeSystem("mkdir etc");
    const { exitCode, stderr } = await inguest("install", system);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("--init names one of systemd, openrc, runit, busybox, sysv");
  });

  test.each([
    ["systemd", "mkdir -p usr/lib/systemd/system; touch usr/lib/systemd/system/inguest.service"],
    ["openrc", "mkdir -p lib/apk/db; printf 'P:musl\\n\\nP:inguest\\n' >lib/apk/db/installed"],
  ])("where a package has installed it below %s", async (init, commands) => {
    await using system = await makeSystem(`${SYSTEMS[init]?.commands}; ${commands}`);
    expect((await inguest("install", system)).stderr).toContain("installed by a package");
    expect((await inguest("uninstall", system)).stderr).toContain("installed by a package");
  });

  test("to take back what was not done", async () => {
    await using system = await makeSystem(SYSTEMS.systemd?.commands ?? "");
    const { exitCode, stderr } = await inguest("uninstall", system);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("no record of an installation");
  });

  test.each([[["--root=x"]], [["--nonsense"]], [["word"]]])("as a wrong command line: %p", async (options) => {
    expect((await run([agent, "install", ...options])).exitCode).toBe(2);
  });
});

test("an update replaces the executable at once, mode included", async () => {
  await using system = await makeSystem(SYSTEMS.systemd?.commands ?? "");
  await must("install", system);
  const program = `${system.root}/usr/local/bin/inguest`;
  await mustRun(["truncate", "-s", "-1", program]);
  chmodSync(program, 0o600);
  const lines = await must("install", system);
  expect(lines.filter((line) => line.startsWith("done"))).toEqual([
    expect.stringContaining("write /usr/local/bin/inguest"),
  ]);
  expect(readFileSync(program).equals(readFileSync(agent))).toBe(true);
});
