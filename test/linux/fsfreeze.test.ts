/** Freezing real filesystems on loop devices, in a mount namespace where nothing else can be frozen. */

import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { availabilityOf, describeWith, ensurePackages } from "../lab/apt.ts";
import { obtainPeer } from "../lab/peer.ts";
import { waitFor, within } from "../lab/process.ts";
import { isObject, type Json } from "../lab/qga-client.ts";
import { peerFiles, peerInGuest } from "../vm/image.ts";
import { type JailedAgent, jailAvailability, jailPackages, type MountJail, makeJail } from "./mount-jail.ts";
import { trace } from "./trace.ts";

setDefaultTimeout(60_000);

const ALLOWED_WHEN_FROZEN = [
  "guest-fsfreeze-status",
  "guest-fsfreeze-thaw",
  "guest-info",
  "guest-ping",
  "guest-sync",
  "guest-sync-delimited",
];

/** Calls that move bytes; what matters is between what. */
const TRANSFERS = ["read", "readv", "recvfrom", "recvmsg", "write", "writev", "sendto", "sendmsg"];
/** Calls that wait, and those that threads and their memory need. */
const WITHOUT_FILES = [
  ...["epoll_wait", "epoll_pwait", "futex", "sched_yield", "clock_nanosleep", "rt_sigreturn", "restart_syscall"],
  ...["madvise", "mprotect", "mmap", "munmap"],
];

const packages = await ensurePackages(jailPackages);
const ready = packages.available ? await jailAvailability() : packages;

describeWith("freezing", ready, () => {
  let jail: MountJail;
  beforeEach(async () => {
    jail = await makeJail();
  });
  afterEach(async () => {
    await jail?.[Symbol.asyncDispose]();
  });

  const freeze = ({ client }: JailedAgent): Promise<Json> => client.call("guest-fsfreeze-freeze");
  const thaw = ({ client }: JailedAgent): Promise<Json> => client.call("guest-fsfreeze-thaw");
  const status = ({ client }: JailedAgent): Promise<Json> => client.call("guest-fsfreeze-status");

  /** Starts to write into a file. @returns what tells after a while whether it is done, and what waits until it is */
  function writeTo(path: string): { stalls(): Promise<boolean>; done: Promise<unknown> } {
    const done = jail.must(`echo late > ${path}`);
    return { stalls: () => Promise.race([done.then(() => false), Bun.sleep(400).then(() => true)]), done };
  }

  function writeHook(text: string): void {
    writeFileSync(jail.path("/hook"), `#!/bin/sh\n${text}\n`);
    chmodSync(jail.path("/hook"), 0o755);
  }

  test("writers stall until the thaw, and nothing else than the few commands is enabled meanwhile", async () => {
    await jail.mount("ext4", "/mnt/a");
    await jail.mount("xfs", "/mnt/b");
    const agent = await jail.start();
    const enabled = async (): Promise<string[]> => {
      const info = await agent.client.call("guest-info");
      const commands = isObject(info) && Array.isArray(info.supported_commands) ? info.supported_commands : [];
      return commands
        .filter(isObject)
        .filter((command) => command.enabled === true)
        .map(({ name }) => String(name))
        .sort();
    };
    const before = await enabled();
    expect(await status(agent)).toBe("thawed");
    expect(await freeze(agent)).toBe(2);
    expect(await status(agent)).toBe("frozen");
    expect(await enabled()).toEqual(ALLOWED_WHEN_FROZEN);
    for (const command of ["guest-get-time", "guest-fsfreeze-freeze", "guest-fsfreeze-freeze-list"]) {
      await expect(agent.client.call(command)).rejects.toMatchObject({
        class: "CommandNotFound",
        desc: `Command ${command} has been disabled: the command is not allowed`,
      });
    }
    const writers = [writeTo("/mnt/a/file"), writeTo("/mnt/b/file")];
    expect(await Promise.all(writers.map((writer) => writer.stalls()))).toEqual([true, true]);
    expect(await thaw(agent)).toBe(2);
    await Promise.all(writers.map(({ done }) => done));
    expect(await status(agent)).toBe("thawed");
    expect(await enabled()).toEqual(before);
    expect(await thaw(agent)).toBe(0);
    expect(agent.log()).toBe("");
  });

  test("only listed mountpoints are frozen, of a device with several the first", async () => {
    await jail.mount("ext4", "/mnt/a");
    await jail.mount("ext4", "/mnt/b");
    await jail.must("mkdir /mnt/a/sub /mnt/bind && mount --bind /mnt/a/sub /mnt/bind");
    const agent = await jail.start();
    const list = (...mountpoints: string[]): Promise<Json> =>
      agent.client.call("guest-fsfreeze-freeze-list", { mountpoints });
    expect(await list()).toBe(0);
    expect(await list("/mnt", "/nowhere", "/", "/proc", "/mnt/bind", "/mnt/a/")).toBe(0);
    expect(await status(agent)).toBe("thawed");
    expect(await list("/mnt/b", "/mnt/b", "/nowhere")).toBe(1);
    expect(await status(agent)).toBe("frozen");
    await jail.must("echo now > /mnt/a/file && sync -f /mnt/a");
    const writer = writeTo("/mnt/b/file");
    expect(await writer.stalls()).toBe(true);
    expect(await thaw(agent)).toBe(1);
    await writer.done;
    expect(await list("/mnt/a", "/mnt/b")).toBe(2);
    expect(await thaw(agent)).toBe(2);
  });

  test("a filesystem in a file on another one is frozen before it, in whatever order they were mounted", async () => {
    await jail.mount("ext4", "/mnt/outer");
    await jail.mount("xfs", "/mnt/inner", jail.path("/mnt/outer/image"));
    const agent = await jail.start();
    for (const swap of [false, true]) {
      if (swap) {
        await jail.must("mkdir /mnt/again && mount $(grep outer /proc/mounts | cut -d' ' -f1) /mnt/again");
        await jail.must("umount -l /mnt/outer");
        const table = await jail.must("grep -o '/mnt/[a-z]*' /proc/mounts");
        expect(table.split("\n")).toEqual(["/mnt/inner", "/mnt/again"]);
      }
      await jail.must("dd if=/dev/urandom of=/mnt/inner/dirty bs=1M count=20 2>/dev/null");
      expect(await freeze(agent)).toBe(2);
      const writer = writeTo("/mnt/inner/file");
      expect(await writer.stalls()).toBe(true);
      expect(await thaw(agent)).toBe(2);
      await writer.done;
    }
  });

  test("what somebody else has frozen is passed over, and thawed with the rest", async () => {
    await jail.mount("ext4", "/mnt/a");
    await jail.mount("ext4", "/mnt/b");
    const agent = await jail.start();
    await jail.must("fsfreeze --freeze /mnt/a");
    expect(await freeze(agent)).toBe(1);
    expect(await thaw(agent)).toBe(2);
    await jail.must("echo now > /mnt/a/file");
    await jail.must("fsfreeze --freeze /mnt/a && fsfreeze --freeze /mnt/b");
    expect(await freeze(agent)).toBe(0);
    expect(await status(agent)).toBe("thawed");
    expect(await thaw(agent)).toBe(2);
    // One that was thawed by somebody else meanwhile does not count.
    expect(await freeze(agent)).toBe(2);
    await jail.must("fsfreeze --unfreeze /mnt/b");
    expect(await thaw(agent)).toBe(1);
  });

  test("when one cannot be frozen, all are thawed, the hook too, and the error names it", async () => {
    await jail.mount("ext4", "/mnt/first");
    // Its image cannot grow as far as what is written into it.
    await jail.must("mkdir /mnt/small && mount -t tmpfs -o size=24m small /mnt/small");
    await jail.mount("ext4", "/mnt/full", jail.path("/mnt/small/image"));
    await jail.mount("ext4", "/mnt/last");
    writeHook('echo "$1" >> /hook.log');
    const agent = await jail.start(["-F/hook", "-v"]);
    await jail.must("dd if=/dev/urandom of=/mnt/full/file bs=1M count=60 2>/dev/null");
    await expect(freeze(agent)).rejects.toMatchObject({
      class: "GenericError",
      desc: "failed to freeze /mnt/full: Input/output error",
    });
    expect(await status(agent)).toBe("thawed");
    await jail.must("echo now > /mnt/last/file; echo now > /mnt/first/file");
    expect(await jail.must("cat /hook.log")).toBe("freeze\nthaw");
    expect(existsSync(jail.path("/state/qga.state.isfrozen"))).toBe(false);
  });

  test("a mountpoint that cannot be opened is an error before anything is frozen", async () => {
    await jail.mount("ext4", "/mnt/a");
    await jail.must("mkdir /mnt/under");
    await jail.mount("ext4", "/mnt/under/hidden");
    await jail.must("mount -t tmpfs over /mnt/under");
    const agent = await jail.start();
    await expect(freeze(agent)).rejects.toMatchObject({
      desc: "failed to open /mnt/under/hidden: No such file or directory",
    });
    await jail.must("echo now > /mnt/a/file");
    expect(await agent.client.call("guest-fsfreeze-freeze-list", { mountpoints: ["/mnt/a"] })).toBe(1);
    expect(await thaw(agent)).toBe(1);
  });

  test("the hook runs before the freeze and after the thaw", async () => {
    await jail.mount("ext4", "/mnt/a");
    writeHook('echo "$1 $#" >> /mnt/a/hook.log');
    const agent = await jail.start(["-F/hook"]);
    expect(await freeze(agent)).toBe(1);
    expect(readFileSync(jail.path("/mnt/a/hook.log"), "utf8")).toBe("freeze 1\n");
    expect(await thaw(agent)).toBe(1);
    expect(readFileSync(jail.path("/mnt/a/hook.log"), "utf8")).toBe("freeze 1\nthaw 1\n");
  });

  test("a hook that fails prevents the freeze, with what it printed", async () => {
    await jail.mount("ext4", "/mnt/a");
    const agent = await jail.start(["-F/hook"]);
    await expect(freeze(agent)).rejects.toMatchObject({
      desc: "child process has failed to execute fsfreeze hook: failed to exec '/hook': No such file or directory\n",
    });
    writeHook('[ "$1" = thaw ] && exit 4; echo "no $1"; echo why >&2; exit 3');
    await expect(freeze(agent)).rejects.toMatchObject({
      desc: "child process has failed to execute fsfreeze hook: no freeze\nwhy\n",
    });
    expect(await status(agent)).toBe("thawed");
    await jail.must("echo now > /mnt/a/file");
    // After the thaw a failure is reported, too, but the filesystems are thawed.
    writeHook('[ "$1" = freeze ] || exit 4');
    expect(await freeze(agent)).toBe(1);
    await expect(thaw(agent)).rejects.toMatchObject({
      desc: "child process has failed to execute fsfreeze hook: exit status 4",
    });
    expect(await status(agent)).toBe("thawed");
    await jail.must("echo now > /mnt/a/file");
  });

  test.each([
    ["that hangs", 'echo "$1" >> /hook.log; [ "$1" = thaw ] || sleep 20'],
    ["whose child has left it", 'echo "$1" >> /hook.log; [ "$1" = thaw ] || setsid sleep 20'],
  ])("a hook %s is killed at its time limit and undone", async (_, text) => {
    await jail.mount("ext4", "/mnt/a");
    writeHook(text);
    const agent = await jail.start(["-F/hook", "--fsfreeze-timeout", "1"]);
    const started = performance.now();
    await expect(freeze(agent)).rejects.toMatchObject({
      desc: "child process has failed to execute fsfreeze hook: killed after its time limit",
    });
    expect(performance.now() - started).toBeWithin(900, 3000);
    expect(await status(agent)).toBe("thawed");
    await jail.must("echo now > /mnt/a/file");
    await waitFor(
      () => readFileSync(jail.path("/hook.log"), "utf8") === "freeze\nthaw\n" || undefined,
      3000,
      () => "the hook was not run with thaw",
    );
  });

  test("the hook that is shipped runs the scripts of its directory, and reports the one that fails", async () => {
    await jail.mount("ext4", "/mnt/a");
    await jail.must("mkdir -p /etc/qemu/fsfreeze-hook.d");
    writeFileSync(
      jail.path("/etc/qemu/fsfreeze-hook"),
      readFileSync(resolve(import.meta.dir, "../../packaging/fsfreeze-hook")),
      { mode: 0o755 },
    );
    for (const name of ["10 database", "20-cache", "30-off", "40-old.dpkg-old", ".hidden"]) {
      const path = jail.path(`/etc/qemu/fsfreeze-hook.d/${name}`);
      writeFileSync(path, `#!/bin/sh\necho "${name} $1" >> /hook.log\n[ "$1" != "$(cat /fail)" ]\n`);
      chmodSync(path, name === "30-off" ? 0o644 : 0o755);
    }
    writeFileSync(jail.path("/fail"), "");
    const agent = await jail.start(["-F"]);
    expect(await freeze(agent)).toBe(1);
    expect(await thaw(agent)).toBe(1);
    expect(await jail.must("cat /hook.log")).toBe(
      "10 database freeze\n20-cache freeze\n20-cache thaw\n10 database thaw",
    );
    await jail.must("rm /hook.log; sed -i 's/^\\[.*/[ \"$1\" = thaw ]/' /etc/qemu/fsfreeze-hook.d/20-cache");
    await expect(freeze(agent)).rejects.toMatchObject({
      desc: expect.stringContaining("fsfreeze-hook.d/20-cache freeze: exit status 1"),
    });
    expect(await jail.must("cat /hook.log")).toBe("10 database freeze\n20-cache freeze\n10 database thaw");
    await jail.must("echo now > /mnt/a/file");
  });

  test("an agent that is killed leaves a mark, and the next one thaws, with all of its files on what is frozen", async () => {
    await jail.mount("ext4", "/mnt/a");
    await jail.mount("xfs", "/mnt/b");
    await jail.must("mkdir /mnt/a/state");
    const args = ["-t", "/mnt/a/state", "-l", "/mnt/a/log", "-f", "/mnt/a/pid", "-v"];
    const first = await jail.start(args);
    expect(await freeze(first)).toBe(2);
    first.kill("SIGKILL");
    await first.exited;
    expect(existsSync(jail.path("/mnt/a/state/qga.state.isfrozen"))).toBe(true);

    const second = await jail.start(args);
    expect(await status(second)).toBe("frozen");
    await expect(second.client.call("guest-get-time")).rejects.toMatchObject({ class: "CommandNotFound" });
    second.kill("SIGTERM");
    const writer = writeTo("/mnt/b/file");
    expect(await writer.stalls()).toBe(true);
    expect(await thaw(second)).toBe(2);
    await writer.done;
    expect(await status(second)).toBe("thawed");
    expect(existsSync(jail.path("/mnt/a/state/qga.state.isfrozen"))).toBe(false);
    await second.client.call("guest-get-time");
    expect(readFileSync(jail.path("/mnt/a/log"), "utf8")).toContain("filesystems are thawed");
  });

  test("SIGTERM and SIGINT end the agent only when nothing is frozen", async () => {
    await jail.mount("ext4", "/mnt/a");
    const agent = await jail.start();
    expect(await freeze(agent)).toBe(1);
    agent.kill("SIGTERM");
    agent.kill("SIGINT");
    await Bun.sleep(200);
    expect(await status(agent)).toBe("frozen");
    expect(await thaw(agent)).toBe(1);
    agent.kill("SIGTERM");
    expect(await within(agent.exited, 3000, () => "it does not end")).toBe(0);
  });

  test("a freeze that nobody ends is ended by its deadline, also by the agent that found it", async () => {
    await jail.mount("ext4", "/mnt/a");
    const args = ["--fsfreeze-timeout", "1"];
    const agent = await jail.start(args);
    for (const round of [1, 2]) {
      expect(await freeze(agent)).toBe(1);
      const writer = writeTo("/mnt/a/file");
      expect(await writer.stalls()).toBe(true);
      expect(await status(agent)).toBe("frozen");
      await within(writer.done, 3000, () => "not thawed in time");
      expect(await status(agent)).toBe("thawed");
      const lines = agent.log().trim().split("\n");
      expect(lines.slice(-2)).toEqual([
        expect.stringContaining("no thaw came within 1 s: 1 filesystems were thawed"),
        expect.stringContaining("the last freeze ended at its deadline of 1 s"),
      ]);
      expect(lines).toHaveLength(2 * round);
      expect(await thaw(agent)).toBe(0);
      await status(agent);
      expect(agent.log().trim().split("\n")).toHaveLength(2 * round);
    }

    expect(await freeze(agent)).toBe(1);
    agent.kill("SIGKILL");
    await agent.exited;
    const next = await jail.start(args);
    expect(await status(next)).toBe("frozen");
    await waitFor(
      async () => (await status(next)) === "thawed" || undefined,
      3000,
      () => "not thawed in time",
    );
    await jail.must("echo now > /mnt/a/file");
    // A thaw in time disarms it.
    expect(await freeze(next)).toBe(1);
    expect(await thaw(next)).toBe(1);
    const lines = next.log().split("\n").length;
    await Bun.sleep(1300);
    expect(next.log().split("\n")).toHaveLength(lines);
  });

  test("while frozen, no thread of the agent makes a call but to wait, to read requests and to write replies", async () => {
    await jail.mount("ext4", "/mnt/a");
    const agent = await jail.start(["-v", "-l", "/mnt/a/log"]);
    // Code that runs for the first time may be made faster on other threads; that is no matter of the freeze.
    for (let count = 0; count < 3; count++) {
      expect(await freeze(agent)).toBe(1);
      await status(agent);
      expect(await thaw(agent)).toBe(1);
    }
    expect(await freeze(agent)).toBe(1);
    const calls = await trace(agent.pid, async () => {
      for (let count = 0; count < 20; count++) {
        await agent.client.sync();
        expect(await agent.client.call("guest-ping")).toEqual({});
        await agent.client.call("guest-info");
        expect(await status(agent)).toBe("frozen");
        await agent.client.raw('{"execute": 5}\n{"execute": "guest-exec", "arguments": {"path": "/bin/true"}}}\n');
        await expect(agent.client.call("guest-get-fsinfo")).rejects.toMatchObject({ class: "CommandNotFound" });
      }
      agent.kill("SIGTERM");
      await Bun.sleep(1500);
    });
    expect(await thaw(agent)).toBe(1);

    // To size up its heap the engine may look into procfs, which is in memory.
    const beyond = calls.filter(
      ({ args }) => !/^AT_FDCWD<[^>]*>, "\/proc\/self\/statm"|^\d+<\/proc\/\d+\/statm>/.test(args),
    );
    expect(beyond.filter(({ name }) => !TRANSFERS.includes(name) && !WITHOUT_FILES.includes(name))).toEqual([]);
    expect(beyond.filter(({ name, args }) => name === "mmap" && !args.includes("MAP_ANONYMOUS"))).toEqual([]);
    const transfers = beyond.filter(({ name }) => TRANSFERS.includes(name));
    expect(transfers.length).toBeGreaterThan(100);
    const kinds = new Set(transfers.map(({ args }) => /^\d+<(\w+):/.exec(args)?.[1] ?? args));
    // The pipe is that of the signals.
    expect([...kinds].sort()).toEqual(["pipe", "socket"]);
  });

  test("a hundred times under load: all that was reported written is there", async () => {
    await jail.mount("ext4", "/mnt/a");
    await jail.mount("xfs", "/mnt/b");
    const agent = await jail.start(["-F/hook"]);
    writeHook("exit 0");
    const load = (mountpoint: string): Promise<unknown> =>
      jail.run(`n=0; while [ ! -e /stop ]; do n=$((n + 1)); dd if=/dev/zero of=${mountpoint}/load bs=64k count=8 conv=fsync \\
        2>/dev/null || exit 1; echo $n > ${mountpoint}/n; done`);
    const loads = [load("/mnt/a"), load("/mnt/b")];
    for (let count = 0; count < 100; count++) {
      expect(await freeze(agent)).toBe(2);
      expect(await status(agent)).toBe("frozen");
      expect(await thaw(agent)).toBe(2);
    }
    await jail.must("touch /stop");
    expect(await Promise.all(loads)).toEqual([
      { exitCode: 0, stdout: "", stderr: "" },
      { exitCode: 0, stdout: "", stderr: "" },
    ]);
    for (const mountpoint of ["/mnt/a", "/mnt/b"]) {
      expect(Number(await jail.must(`cat ${mountpoint}/n`))).toBeGreaterThan(0);
    }
  });
});

const peerReady = ready.available ? await availabilityOf(obtainPeer) : ready;

describeWith("freezing beside the real agent", peerReady, () => {
  test("the same filesystems in the same state are counted alike", async () => {
    await using jail = await makeJail(await peerFiles(await obtainPeer()));
    for (const each of ["ext4", "writable", "frozen", "xfs"]) {
      await jail.mount(each === "xfs" ? "xfs" : "ext4", `/mnt/${each}`);
    }
    await jail.mount("ext4", "/mnt/readonly");
    await jail.must(`mount -o remount,ro /mnt/readonly
      mkdir /mnt/bind /mnt/over /mnt/ext4/upper /mnt/ext4/work && mount --bind /mnt/xfs /mnt/bind
      mount -t tmpfs none /mnt/over`);
    await jail.run("mount -t overlay -o lowerdir=/mnt/xfs,upperdir=/mnt/ext4/upper,workdir=/mnt/ext4/work o /mnt/over");
    const play = async (agent: JailedAgent): Promise<unknown[]> => {
      const log: unknown[] = [];
      const ask = async (name: string, args?: Json): Promise<void> => {
        log.push(await agent.client.call(name, args).catch((error: unknown) => String(error)));
      };
      await jail.must("fsfreeze --freeze /mnt/frozen");
      for (const name of ["freeze", "status", "freeze", "thaw", "status", "thaw"]) await ask(`guest-fsfreeze-${name}`);
      for (const mountpoints of [[], ["/mnt/bind"], ["/mnt/readonly"], ["/mnt/over", "/mnt/xfs", "/mnt/xfs"], ["/"]]) {
        await ask("guest-fsfreeze-freeze-list", { mountpoints });
        await ask("guest-fsfreeze-status");
        await ask("guest-fsfreeze-thaw");
      }
      agent.client.close();
      agent.kill("SIGTERM");
      await agent.exited;
      return log;
    };
    const theirs = await play(await jail.start([], peerInGuest.command));
    const ours = await play(await jail.start());
    expect(ours).toEqual(theirs);
  });
});
