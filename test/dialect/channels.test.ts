/** Several channels of one agent: each dialect on its own socket, and none in the way of another. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AgentOptions, inguestCommand, type RunningAgent, startAgent } from "../lab/agent.ts";
import { run } from "../lab/process.ts";
import { connectLines, type Line, type LineClient } from "./line-client.ts";

setDefaultTimeout(60_000);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "inguest-channels-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

type Dialect = "qga" | "ovirt" | "eayun";
const socketOf = (dialect: Dialect): string => join(folder, `${dialect}.sock`);

/** Starts an agent with QGA on its own socket and the others in sections of a config file. */
async function start(others: readonly Dialect[], options: Partial<AgentOptions> = {}, command = inguestCommand) {
  const config = join(folder, "config");
  const section = (dialect: Dialect): string =>
    `[channel ${dialect}]\nmethod=unix-listen\npath=${socketOf(dialect)}\ndialect=${dialect}\n`;
  await Bun.write(config, others.map(section).join(""));
  return startAgent(command, {
    socketPath: socketOf("qga"),
    stateDir: join(folder, "state"),
    ...options,
    args: ["-c", config, ...(options.args ?? [])],
  });
}

/** A request that each dialect answers at once. */
const PINGS: Readonly<Record<Dialect, Line>> = {
  qga: { execute: "guest-sync", arguments: { id: 1 } },
  ovirt: { __name__: "echo", ping: true },
  eayun: { operation: "echo" },
};
const PONGS: Readonly<Record<Dialect, (line: Line) => boolean>> = {
  qga: (line) => "return" in line,
  ovirt: ({ __name__: name }) => name === "echo",
  eayun: ({ operation }) => operation === "echo",
};

async function ping(host: LineClient, dialect: Dialect): Promise<number> {
  const from = host.lines.length;
  const begun = performance.now();
  host.send(PINGS[dialect]);
  await host.next(PONGS[dialect], from, 20_000);
  return performance.now() - begun;
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

const DIALECTS: readonly Dialect[] = ["qga", "ovirt", "eayun"];

describe("three at once", () => {
  let agent: RunningAgent;
  const hosts = new Map<Dialect, LineClient>();
  const hostOf = (dialect: Dialect): LineClient => hosts.get(dialect)!;

  beforeAll(async () => {
    agent = await start(["ovirt", "eayun"], { args: ["-v"] });
    for (const dialect of DIALECTS) hosts.set(dialect, await connectLines(socketOf(dialect)));
  });
  afterAll(async () => {
    for (const host of hosts.values()) host.close();
    await agent?.stop();
  });

  test.each(DIALECTS)("%s answers", async (dialect) => {
    await ping(hostOf(dialect), dialect);
  });

  test("execute_command is refused in the dialect's form where nobody attached a port for it", async () => {
    const reply = await hostOf("eayun").ask({ operation: "execute_command", cmd: "id" });
    expect(reply).toEqual({
      operation: "execute_command",
      error: { class: "NotAllowed", desc: "off unless enable-rpcs names it: it runs a shell as root" },
    });
    expect(await agent.log()).toContain("execute_command was refused");
  });

  test("what blocks one dialect's calls leaves the others alone", async () => {
    expect(await hostOf("qga").ask({ execute: "guest-info" })).toHaveProperty("return");
  });

  test.each([
    ["qga", "ovirt"],
    ["ovirt", "qga"],
    ["eayun", "qga"],
    ["qga", "eayun"],
  ] as const)("10 000 requests on %s leave %s within twice its quiet latency", async (flooded, other) => {
    hostOf(flooded).close();
    const host = hostOf(other);
    const request = JSON.stringify(PINGS[flooded]);
    // In a process of its own, so that only the agent has to do with both.
    const script = join(import.meta.dir, "flood.ts");
    const quiet: number[] = [];
    for (let count = 0; count < 100; count++) quiet.push(await ping(host, other));
    const busy: number[] = [];
    for (let round = 0; round < 5; round++) {
      const flood = Bun.spawn([process.execPath, script, socketOf(flooded), "10000", request], { stdout: "pipe" });
      const output = flood.stdout.getReader();
      await output.read();
      let over = false;
      const end = output.read().then(() => {
        over = true;
      });
      while (!over) busy.push(await ping(host, other));
      await end;
      expect(await flood.exited).toBe(0);
    }
    hosts.set(flooded, await connectLines(socketOf(flooded)));
    console.log(
      `${other}: ${median(quiet).toFixed(2)} ms quiet, ${median(busy).toFixed(2)} ms, at worst ${Math.max(...busy).toFixed(2)} ms of ${busy.length}, beside ${flooded}`,
    );
    // Below this it is the kernel that switches from process to process.
    expect(median(busy)).toBeLessThan(2 * Math.max(median(quiet), 0.05));
  });

  test("a host that does not read leaves the others alone", async () => {
    const deaf = await openDeaf(socketOf("ovirt"));
    await ping(hostOf("qga"), "qga");
    await ping(hostOf("eayun"), "eayun");
    deaf.close();
  });

  /** Takes the place of a host, asks for more than the socket holds and reads nothing. */
  async function openDeaf(path: string): Promise<{ close(): void }> {
    hostOf("ovirt").close();
    const socket = await Bun.connect({ unix: path, socket: { data() {}, open: (it) => void it.pause() } });
    socket.write(`${JSON.stringify(PINGS.ovirt)}\n`.repeat(5_000));
    await Bun.sleep(200);
    return { close: () => socket.terminate() };
  }

  test("all are told when the agent ends", async () => {
    const host = await connectLines(socketOf("ovirt"));
    await ping(host, "ovirt");
    await agent.stop();
    await host.next(({ __name__: name }) => name === "session-shutdown");
    host.close();
  });
});

/** struct utmpx of x86-64: a session of a user, or its end. */
function utmpRecord(user: string, line: string, isThere: boolean): Buffer {
  const record = Buffer.alloc(384);
  record.writeInt16LE(isThere ? 7 : 8, 0);
  record.writeInt32LE(1, 4);
  record.write(line, 8);
  if (isThere) record.write(user, 44);
  record.writeUInt32LE(Math.floor(Date.now() / 1000), 340);
  return record;
}

const canUnshare = process.getuid?.() === 0 && (await run(["unshare", "-m", "true"])).exitCode === 0;

describe.skipIf(!canUnshare || process.arch !== "x64")("a session in a mount namespace of its own", () => {
  test("utmp records are told within a second, and nothing else wakes the agent", async () => {
    // Its /run is empty, so that the file comes into being while the agent looks for it.
    const apart = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /run && exec "$@"', "sh"];
    const agent = await start(["ovirt"], {}, [...apart, ...inguestCommand]);
    const host = await connectLines(socketOf("ovirt"));
    try {
      await ping(host, "ovirt");
      const utmp = `/proc/${agent.pid}/root/run/utmp`;
      const isLogon = ({ __name__: name }: Line): boolean => name === "session-logon";
      await Bun.write(utmp, utmpRecord("eva", "tty1", true));
      await host.next(isLogon, 0, 1_000);
      await host.next(({ __name__: name, name: user }) => name === "active-user" && user === "eva", 0, 1_000);

      // As login(1) does it: in place.
      const from = host.lines.length;
      await run([
        "dd",
        "of=" + utmp,
        "conv=notrunc",
        "status=none",
        `if=${await bytesFile(utmpRecord("", "tty1", false))}`,
      ]);
      await host.next(({ __name__: name }) => name === "session-logoff", from, 1_000);
      await host.next(({ __name__: name, name: user }) => name === "active-user" && user === "None", from, 1_000);

      // Tidying up, which a quiet moment brings, waits for the engine's helpers.
      await Bun.sleep(2_000);
      const quiet = host.lines.length;
      let awake = 0;
      for (let halfSecond = 0; halfSecond < 12; halfSecond++) {
        const before = await switches(agent.pid);
        await Bun.sleep(500);
        if ((await switches(agent.pid)) > before) awake++;
      }
      expect(host.lines.slice(quiet).filter(({ __name__: name }) => name !== "heartbeat")).toEqual([]);
      // A heartbeat or two; who looked at the file each second would be awake in six.
      expect(awake).toBeLessThan(6);
    } finally {
      host.close();
      await agent.stop();
    }
  });

  test("oVirt's own settings say where its ports are, and the agent stays for one of them", async () => {
    // A pipe in place of the port: what the agent writes comes back to it.
    const port = join(folder, "com.redhat.rhevm.vdsm");
    await run(["mkfifo", port]);
    const settings = `[virtio]\ndevice_prefix = ${folder}/\n`;
    const script = `mount -t tmpfs none /etc && printf '%s' '${settings}' >/etc/ovirt-guest-agent.conf && exec "$@"`;
    const child = Bun.spawn(["unshare", "-m", "sh", "-c", script, "sh", ...inguestCommand, "-v", "-t", folder], {
      stderr: "pipe",
    });
    const errors = new Response(child.stderr).text();
    await Bun.sleep(1_000);
    expect(child.exitCode).toBeNull();
    child.kill();
    expect(await child.exited).toBe(0);
    expect(await errors).toContain("session-startup: there is no such command");
  });

  async function bytesFile(bytes: Buffer): Promise<string> {
    const path = join(folder, "record");
    await Bun.write(path, bytes);
    return path;
  }

  /** How often the main thread went to sleep by itself. */
  async function switches(pid: number): Promise<number> {
    return Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]);
  }
});

describe("memory", () => {
  const residentOf = async (others: readonly Dialect[]): Promise<number> => {
    const agent = await start(others);
    const hosts: LineClient[] = [];
    try {
      for (const dialect of ["qga", ...others] as const) {
        const host = await connectLines(socketOf(dialect));
        hosts.push(host);
        for (let count = 0; count < 50; count++) await ping(host, dialect);
      }
      // Until the agent has found itself at rest and has given back what it can.
      await Bun.sleep(2_500);
      const text = await readFile(`/proc/${agent.pid}/status`, "utf8");
      return Number(/^VmRSS:\s+(\d+)/m.exec(text)?.[1]);
    } finally {
      for (const host of hosts) host.close();
      await agent.stop();
    }
  };

  test("three dialects take at most 1.2 times that of one", async () => {
    // The least of some: how much of its own code the engine has compiled meanwhile differs.
    const leastOf = async (others: readonly Dialect[]): Promise<number> =>
      Math.min(await residentOf(others), await residentOf(others), await residentOf(others));
    const one = await leastOf([]);
    const three = await leastOf(["ovirt", "eayun"]);
    console.log(`${one} KiB with one dialect, ${three} KiB with three: ${(three / one).toFixed(3)}`);
    expect(three / one).toBeLessThan(1.2);
  });
});

test("a channel that cannot be opened is named, and the agent does not start", async () => {
  const config = join(folder, "bad");
  await Bun.write(config, "[channel x]\npath=/nowhere/port\n");
  const { exitCode, stderr } = await run([...inguestCommand, "-c", config, "-t", folder]);
  expect({ exitCode, stderr }).toEqual({
    exitCode: 1,
    stderr: "inguest: open /nowhere/port: No such file or directory\n",
  });
});

test("without any port the agent ends, as qemu-ga does", async () => {
  const { exitCode, stderr } = await run([...inguestCommand, "-c", "/dev/null", "-t", folder], { timeoutMs: 5_000 });
  expect(exitCode).toBe(1);
  expect(stderr).toContain("/dev/virtio-ports/org.qemu.guest_agent.0");
});
