/** The compiled agent in a guest: the line to the host, in good times and bad. */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { describeWith } from "../lab/apt.ts";
import { obtainPeer } from "../lab/peer.ts";
import { waitFor } from "../lab/process.ts";
import { connect, isObject, type Json, type QgaClient } from "../lab/qga-client.ts";
import { agentInGuest, agentPath, compiledAgent } from "./agent.ts";
import { peerFiles, peerInGuest, shellQuote } from "./image.ts";
import { agentPort, startVm, type Vm, vmAvailability } from "./vm.ts";

// Bun kills a test's children when its time is up, and the VM is one of them: our own limits must come first.
setDefaultTimeout(120_000);

const MiB = 1024 * 1024;
const peerPort = "test.peer.0";
const latePort = "test.late.0";

const ready = await vmAvailability(compiledAgent, obtainPeer);

describeWith("the agent in a VM", ready, () => {
  let vm: Vm;
  let agent: QgaClient;

  beforeAll(async () => {
    const ours = await agentInGuest("--retry-path");
    vm = await startVm({
      ...ours,
      files: await peerFiles(await obtainPeer()),
      ports: [agentPort, peerPort],
      latePorts: [latePort],
    });
    agent = await vm.waitForAgent();
  });

  afterAll(async () => {
    await vm?.stop();
  });

  const processId = (): Promise<string> => vm.guest("cat /lab/run/agent.pid");

  /** Starts one more agent in the guest; gives its process id. */
  const startAnother = (name: string, command: readonly string[]): Promise<string> =>
    vm.guest(
      `mkdir -p /run/${name}; ${command.map(shellQuote).join(" ")} </dev/null >/lab/run/${name}.log 2>&1 & echo $!`,
    );

  /** How often each thread of the processes has been switched in or out, by its name and number. */
  const switches = async (...pids: readonly string[]): Promise<Map<string, number>> => {
    const threads = pids.map((pid) => `/proc/${pid}/task/*`).join(" ");
    const script = `for task in ${threads}; do echo \${task##*/} $(grep -h ctxt_switches $task/status) $(cat $task/comm); done`;
    const lines = (await vm.guest(script)).split("\n").map((line) => line.split(" "));
    return new Map(
      lines.map(([tid, , yielded, , preempted, ...name]) => [
        `${name.join(" ")} ${tid}`,
        Number(yielded) + Number(preempted),
      ]),
    );
  };

  const switchesInTenSeconds = async (...pids: readonly string[]): Promise<Record<string, number>> => {
    const before = await switches(...pids);
    await Bun.sleep(10_000);
    const after = await switches(...pids);
    return Object.fromEntries([...after].map(([thread, count]) => [thread, count - (before.get(thread) ?? 0)]));
  };

  /** Waits until the helper threads of Bun have gone; they do so after some seconds without work. */
  const settled = async (...pids: readonly string[]): Promise<void> => {
    let threads: readonly string[] = [];
    await waitFor(
      async () => {
        threads = [...(await switches(...pids)).keys()];
        return threads.length === pids.length || undefined;
      },
      40_000,
      () => `threads that stay: ${threads.join(", ")}`,
      1_000,
    );
  };

  test("guest-sync, guest-sync-delimited and guest-info", async () => {
    expect(await agent.call("guest-sync", { id: 9007199254740993n })).toBe(9007199254740993n);
    const delimited = await agent.raw('{"execute": "guest-sync-delimited", "arguments": {"id": 7}}\n');
    expect(Buffer.from(delimited)).toEqual(Buffer.concat([Buffer.of(0xff), Buffer.from('{"return": 7}\n')]));
    const info = await agent.call("guest-info");
    expect(info).toMatchObject({ version: expect.stringMatching(/^\d+\.\d+\.\d+$/) });
    const commands = isObject(info) && Array.isArray(info.supported_commands) ? info.supported_commands : [];
    expect(commands).toContainEqual({ name: "guest-ping", enabled: true, "success-response": true });
  });

  test("8 MiB written through the agent are what the guest has, and are read back as they were", async () => {
    const content = randomBytes(8 * MiB + 1);
    const handle = await agent.call("guest-file-open", { path: "/tmp/big", mode: "w+" });
    for (let at = 0; at < content.length; at += MiB) {
      const piece = content.subarray(at, at + MiB);
      const written = await agent.call("guest-file-write", { handle, "buf-b64": piece.toString("base64") });
      expect(written).toEqual({ count: piece.length, eof: false });
    }
    await agent.call("guest-file-flush", { handle });
    const sum = createHash("sha256").update(content).digest("hex");
    expect(await vm.guest("sha256sum </tmp/big")).toBe(`${sum}  -`);

    await agent.call("guest-file-seek", { handle, offset: 0, whence: 0 });
    const pieces: Buffer[] = [];
    for (let eof = false; !eof; ) {
      const read = await agent.call("guest-file-read", { handle, count: 3 * MiB });
      if (!isObject(read)) throw new Error("not an object");
      pieces.push(Buffer.from(String(read["buf-b64"]), "base64"));
      eof = read.eof === true;
    }
    expect(createHash("sha256").update(Buffer.concat(pieces)).digest("hex")).toBe(sum);
    await agent.call("guest-file-close", { handle });
  });

  test("guest-exec gives exit code and both streams", async () => {
    const script = "read line; echo got $line; echo err >&2; exit 7";
    const started = await agent.call("guest-exec", {
      path: "/bin/sh",
      arg: ["-c", script],
      "input-data": btoa("text\n"),
      "capture-output": true,
    });
    if (!isObject(started)) throw new Error("not an object");
    const status = await waitFor(
      async () => {
        const now = await agent.call("guest-exec-status", { pid: started.pid ?? null });
        return isObject(now) && now.exited === true ? now : undefined;
      },
      10_000,
      () => "it does not end",
    );
    expect(status).toEqual({
      exited: true,
      exitcode: 7,
      "out-data": btoa("got text\n"),
      "out-truncated": false,
      "err-data": btoa("err\n"),
      "err-truncated": false,
    });
  });

  test("hosts that go in the middle of things leave nothing to the next, twenty times", async () => {
    await vm.guest("dd if=/dev/zero of=/tmp/large bs=1M count=4");
    const handle = await agent.call("guest-file-open", { path: "/tmp/large" });
    const leavings: readonly (() => void)[] = [
      // Half a request.
      () => agent.raw('{"execute": "guest-pi', { quietMs: 1 }),
      // An answer that nobody takes.
      () => agent.send("guest-file-read", { handle, count: 4 * MiB }),
      () => {},
      // An object that would swallow all that comes.
      () => agent.raw('{"execute": "guest-ping", "arguments": {"x": "', { quietMs: 1 }),
    ];
    const before = await processId();
    for (let count = 0; count < 20; count++) {
      leavings[count % leavings.length]?.();
      await Bun.sleep(20);
      agent.close();
      // So that the guest sees the host go before the next one comes.
      await Bun.sleep(300);
      agent = await connect(vm.agentSocket());
      const answer = await agent.raw('{"execute": "guest-sync", "arguments": {"id": 5}}\n', { quietMs: 400 });
      expect(Buffer.from(answer).toString()).toBe('{"return": 5}\n');
    }
    await agent.sync();
    await agent.call("guest-file-close", { handle });
    expect(await processId()).toBe(before);
  });

  test("the port is unplugged and plugged in again, and the same process serves it", async () => {
    const before = await processId();
    for (let count = 0; count < 3; count++) {
      agent.close();
      await vm.unplugPort();
      await Bun.sleep(count * 200);
      await vm.plugPort();
      agent = await vm.waitForAgent();
      expect(await agent.call("guest-ping")).toEqual({});
    }
    expect(await processId()).toBe(before);
  });

  test("without --retry-path the agent ends with its port, as qemu-ga does", async () => {
    await vm.plugPort(latePort);
    const path = `/dev/virtio-ports/${latePort}`;
    await vm.guest(`/lab/wait-for-ports ${latePort}`);
    const pid = await startAnother("brief", [agentPath, "-p", path, "-t", "/run/brief"]);
    (await vm.waitForAgent(latePort)).close();
    await vm.unplugPort(latePort);
    await waitFor(
      async () => (await vm.shell(`kill -0 ${pid}`)).exitCode !== 0 || undefined,
      10_000,
      () => "it goes on without a port",
    );
  });

  test("an idle agent never wakes: with a host, without one, and without a port", async () => {
    const path = `/dev/virtio-ports/${latePort}`;
    const late = await startAnother("late", [agentPath, "-p", path, "-t", "/run/late", "--retry-path"]);
    const peerPath = `/dev/virtio-ports/${peerPort}`;
    const peerOptions = ["-m", "virtio-serial", "-p", peerPath, "-t", "/run/peer", "-f", "/run/peer.pid"];
    const peer = await startAnother("peer", [...peerInGuest.command, ...peerOptions]);
    const ours = await processId();
    await agent.call("guest-ping");

    const silent = { [`inguest ${ours}`]: 0, [`inguest ${late}`]: 0 };
    await settled(ours, late);
    expect(await switchesInTenSeconds(ours, late)).toEqual(silent);
    agent.close();
    await vm.plugPort(latePort);
    await waitFor(
      async () => (await vm.shell(`ls -l /proc/${late}/fd | grep vport`)).exitCode === 0 || undefined,
      10_000,
      () => "the agent does not open the port that has come",
    );
    await settled(ours, late);
    expect(await switchesInTenSeconds(ours, late)).toEqual(silent);
    // The count does count: qemu-ga asks ten times a second whether a host has come.
    const peerSwitches = Object.values(await switchesInTenSeconds(peer));
    console.log(`context switches of qemu-ga in 10 s without a host: ${peerSwitches}`);
    expect(Math.max(...peerSwitches)).toBeGreaterThan(10);

    const client = await vm.waitForAgent(latePort);
    expect(await client.call("guest-ping")).toEqual({});
    client.close();
    agent = await vm.waitForAgent();
  });

  test("1 MiB is read at least 1.5 times as fast as by qemu-ga", async () => {
    await vm.guest("dd if=/dev/urandom of=/tmp/mib bs=1M count=1");
    const peer = await vm.waitForAgent(peerPort);
    const ours = await reader(agent);
    const theirs = await reader(peer);
    const times = { ours: [] as number[], theirs: [] as number[] };
    for (let round = 0; round < 12; round++) {
      times.ours.push(await ours());
      times.theirs.push(await theirs());
    }
    const [our, their] = [median(times.ours), median(times.theirs)];
    console.log(
      `1 MiB over virtio-serial: ${our.toFixed(1)} ms, qemu-ga ${their.toFixed(1)} ms, ratio ${(their / our).toFixed(2)}`,
    );
    expect(their / our).toBeGreaterThanOrEqual(1.5);
    peer.close();
  });
});

/** Reads the first MiB of /tmp/mib with one guest-file-read; gives the milliseconds from request to last byte. */
async function reader(client: QgaClient): Promise<() => Promise<number>> {
  const handle: Json = await client.call("guest-file-open", { path: "/tmp/mib" });
  return async () => {
    await client.call("guest-file-seek", { handle, offset: 0, whence: 0 });
    const start = performance.now();
    client.send("guest-file-read", { handle, count: MiB });
    const line = await client.line();
    const elapsed = performance.now() - start;
    expect(line.length).toBeGreaterThan((MiB * 4) / 3);
    return elapsed;
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
