/**
 * A database server of Debian in a jail (see `../linux/mount-jail.ts`): its data lies on a filesystem that our agent
 * freezes, with the freeze hook of `packaging/` before and after.
 */

import { chmodSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Availability, availabilityOf, ensurePackages } from "../lab/apt.ts";
import { type Finished, mustRun, run } from "../lab/process.ts";
import { type JailedAgent, jailAvailability, jailPackages, type MountJail, makeJail } from "../linux/mount-jail.ts";
import { debianRoot, debianRootPackages } from "../vm/debian-root.ts";
import { shellQuote } from "../vm/image.ts";

const PACKAGING = resolve(import.meta.dir, "../../packaging");

/** Where the system with the server lies in the jail. */
const SYSTEM = "/server";
const HOOKS = "/etc/qemu";

/** Whether there can be one: the server's packages are fetched now. */
export async function databaseAvailability(packages: readonly string[]): Promise<Availability> {
  const own = await ensurePackages([...jailPackages, ...debianRootPackages]);
  if (!own.available) return own;
  const jail = await jailAvailability();
  return jail.available ? availabilityOf(() => debianRoot(packages)) : jail;
}

export interface DatabaseLab extends AsyncDisposable {
  agent: JailedAgent;
  /** Runs a command with the system's shell, as root. Its filesystem for data is mounted on /data. */
  run(command: string): Promise<Finished>;
  /** Like `run`, but gives stdout without the last line feed, and throws when it fails. */
  must(command: string): Promise<string>;
  /** Starts a command that goes on until the lab ends. */
  start(command: string): Promise<void>;
  /** Waits until a command succeeds. */
  await(command: string): Promise<void>;
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Copies the disk as it is now; what was copied is mounted on /restored. */
  copyDisk(): Promise<void>;
  /** Writes the settings of the hook. */
  configure(settings: string): Promise<void>;
}

/**
 * @param packages of the server
 * @param hook its name in packaging/hooks.d
 */
export async function makeDatabaseLab(packages: readonly string[], hook: string): Promise<DatabaseLab> {
  await using cleanup = new AsyncDisposableStack();
  const jail: MountJail = cleanup.use(await makeJail());
  const devices: string[] = [];
  cleanup.defer(async () => {
    for (const device of devices) await run(["losetup", "-d", device]);
  });
  const outside = (path: string): string => jail.path(SYSTEM + path);
  await mustRun(["cp", "-a", await debianRoot(packages), jail.path(SYSTEM)]);
  const image = await jail.mount("ext4", `${SYSTEM}/data`);
  await jail.must(
    [
      `mount -t proc proc ${SYSTEM}/proc`,
      `mount -o bind /dev ${SYSTEM}/dev`,
      `mount -t tmpfs tmpfs ${SYSTEM}/dev/shm && chmod 1777 ${SYSTEM}/dev/shm`,
      `mkdir -p ${SYSTEM}${HOOKS}/fsfreeze-hook.d ${SYSTEM}/restored`,
    ].join(" && "),
  );
  await mustRun(["cp", join(PACKAGING, "fsfreeze-hook"), outside(HOOKS)]);
  await mustRun(["cp", join(PACKAGING, "hooks.d", hook), outside(`${HOOKS}/fsfreeze-hook.d`)]);
  await Bun.write(jail.path("/hook"), `#!/bin/sh\nexec chroot ${SYSTEM} ${HOOKS}/fsfreeze-hook "$@"\n`);
  chmodSync(jail.path("/hook"), 0o755);

  const inSystem = (command: string): string =>
    `chroot ${SYSTEM} /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C /bin/sh -c ${shellQuote(command)}`;
  const must = (command: string): Promise<string> => jail.must(inSystem(command));

  const root = statSync(outside("/"), { bigint: true });
  /** Everything whose root is the system's. */
  const residents = (): number[] =>
    readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => {
        try {
          const { dev, ino } = statSync(`/proc/${pid}/root/`, { bigint: true });
          return dev === root.dev && ino === root.ino;
        } catch {
          // It has ended meanwhile.
          return false;
        }
      });
  const agent = await jail.start(["-F/hook"]);
  cleanup.defer(async () => {
    // What waits for a frozen filesystem does not end before that is thawed.
    await jail.run(`fsfreeze --unfreeze ${SYSTEM}/data`);
    for (const pid of residents()) process.kill(pid, "SIGKILL");
    await Bun.sleep(300);
  });
  const kept = cleanup.move();

  return {
    agent,
    must,
    run: (command) => jail.run(inSystem(command)),
    async start(command) {
      await jail.must(`${inSystem(`exec ${command}`)} </dev/null >>/tmp/server.log 2>&1 &`);
    },
    async await(command) {
      for (const deadline = Date.now() + 20_000; (await jail.run(inSystem(command))).exitCode !== 0; ) {
        const log = jail.path("/tmp/server.log");
        if (Date.now() > deadline) throw new Error(`never: ${command}\n${readFileSync(log, "utf8")}`);
        await Bun.sleep(100);
      }
    },
    async freeze() {
      const frozen = await agent.client.call("guest-fsfreeze-freeze");
      if (frozen !== 1) throw new Error(`${frozen} filesystems are frozen`);
    },
    async thaw() {
      await agent.client.call("guest-fsfreeze-thaw");
    },
    async copyDisk() {
      const copy = `${image}.copy`;
      await mustRun(["cp", "--sparse=always", image, copy]);
      const device = (await mustRun(["losetup", "--find", "--show", copy])).trim();
      devices.push(device);
      await jail.must(`mount -t ext4 ${device} ${SYSTEM}/restored`);
    },
    async configure(settings) {
      await Bun.write(outside(`${HOOKS}/fsfreeze-hook.d/${hook}.conf`), settings);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
