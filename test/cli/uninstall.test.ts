/** What `inguest uninstall` tells an oVirt host: the installed agent of a jail, whose virtio ports are pipes. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, constants, existsSync, openSync, readSync } from "node:fs";
import { describeWith, ensurePackages } from "../lab/apt.ts";
import { jailAvailability, jailPackages, makeJail } from "../linux/mount-jail.ts";
import { compiledAgent } from "../vm/agent.ts";
import { executableFiles } from "../vm/image.ts";

setDefaultTimeout(60_000);

const packages = await ensurePackages(jailPackages);
const ready = packages.available ? await jailAvailability() : packages;

const PROGRAM = "/download/inguest";
const LAST_WORD = '{"__name__": "uninstalled"}\n';
/** The names that hosts have given the port, in the order in which they are tried. */
const [OLD_PORT, NEW_PORT] = ["com.redhat.rhevm.vdsm", "ovirt-guest-agent.0"];

/** Busybox as init, and a /dev that is not this machine's. */
const SYSTEM = `
  mkdir -p /sbin && ln -s /bin/busybox /sbin/init && echo '::sysinit:/boot' >/etc/inittab &&
  mount -t tmpfs dev /dev && mkdir /dev/virtio-ports && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9
`;

describeWith("uninstall", ready, () => {
  /** A jail with the agent installed and these ports. */
  async function makeGuest(...ports: readonly string[]) {
    const jail = await makeJail(await executableFiles(await compiledAgent(), PROGRAM));
    await jail.must(SYSTEM);
    const lines = new Map<string, number>();
    for (const port of ports) {
      await jail.must(`mkfifo /dev/virtio-ports/${port}`);
      // The end of the host.
      const fd = openSync(jail.path(`/dev/virtio-ports/${port}`), constants.O_RDWR | constants.O_NONBLOCK);
      lines.set(port, fd);
    }
    await jail.must(`${PROGRAM} install`);
    return {
      jail,
      /** All that a host has got. */
      heard(port = ""): string {
        const bytes = Buffer.alloc(1000);
        try {
          return bytes.toString("utf8", 0, readSync(lines.get(port) ?? -1, bytes));
        } catch (error) {
          if (error instanceof Error && "code" in error && error.code === "EAGAIN") return "";
          throw error;
        }
      },
      async [Symbol.asyncDispose]() {
        for (const fd of lines.values()) closeSync(fd);
        await jail[Symbol.asyncDispose]();
      },
    };
  }

  test("is an oVirt host's last word from the agent", async () => {
    await using guest = await makeGuest(OLD_PORT, NEW_PORT);
    const installed = guest.jail.path("/usr/local/bin/inguest");
    expect(existsSync(installed)).toBe(true);
    expect(await guest.jail.must("/usr/local/bin/inguest uninstall --dry-run")).toContain("to do");
    expect(guest.heard(OLD_PORT) + guest.heard(NEW_PORT)).toBe("");

    expect(await guest.jail.must("/usr/local/bin/inguest uninstall")).toContain("done");
    expect(existsSync(installed)).toBe(false);
    expect(guest.heard(OLD_PORT)).toBe(LAST_WORD);
    expect(guest.heard(NEW_PORT)).toBe("");
  });

  test("is told on the port that there is", async () => {
    await using guest = await makeGuest(NEW_PORT);
    await guest.jail.must("/usr/local/bin/inguest uninstall");
    expect(guest.heard(NEW_PORT)).toBe(LAST_WORD);
  });

  test("of another system is nothing for this one's host", async () => {
    await using guest = await makeGuest(OLD_PORT);
    await guest.jail.must("mkdir -p /other/sbin && ln -s /bin/busybox /other/sbin/init");
    await guest.jail.must(`${PROGRAM} install --root /other && ${PROGRAM} uninstall --root /other`);
    expect(guest.heard(OLD_PORT)).toBe("");
  });

  test("needs no oVirt host", async () => {
    await using guest = await makeGuest();
    expect(await guest.jail.must("/usr/local/bin/inguest uninstall")).toContain("done");
  });
});
