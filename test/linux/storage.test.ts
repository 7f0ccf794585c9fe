/** Real filesystems on loop devices: what both agents say of them, and what trimming does to their images. */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inguestCommand, type RunningAgent, startAgent } from "../lab/agent.ts";
import { type Availability, availabilityOf, describeWith, ensurePackages } from "../lab/apt.ts";
import { obtainPeer } from "../lab/peer.ts";
import { dieWithParent, mustRun, run, waitFor, within } from "../lab/process.ts";
import { connect, isObject, type Json, parseJson, printJson, type QgaClient } from "../lab/qga-client.ts";
import { jailAvailability, jailPackages, makeJail } from "./mount-jail.ts";

setDefaultTimeout(120_000);

const MiB = 1024 * 1024;

/** A mount namespace of its own, so that nobody else sees the mounts, and the words that run a program in it. */
async function privateMounts(): Promise<{ readonly enter: readonly string[]; end(): Promise<void> }> {
  const script = "mount --make-rprivate / && echo ready && exec sleep 1000000";
  const holder = Bun.spawn([...dieWithParent, "unshare", "-m", "sh", "-c", script], { stdout: "pipe" });
  await within(holder.stdout.getReader().read(), 10_000, () => "no mount namespace");
  const enter = ["nsenter", "-t", String(holder.pid), "-m"];
  const end = async (): Promise<void> => {
    holder.kill("SIGKILL");
    await holder.exited;
  };
  return { enter, end };
}

/** A partition table of the oldest kind, with one partition from the first to the last mebibyte. */
function partitionTable(sectors: number): Uint8Array {
  const sector = Buffer.alloc(512);
  sector[446 + 4] = 0x83;
  sector.writeUInt32LE(2048, 446 + 8);
  sector.writeUInt32LE(sectors - 2048, 446 + 12);
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

const packages: Availability = await ensurePackages(["e2fsprogs", "xfsprogs", "btrfs-progs", "util-linux"]);
const machine = packages.available ? await jailAvailability() : packages;
const ready = machine.available ? await availabilityOf(obtainPeer) : machine;

describeWith("filesystems and disks, beside the real agent", ready, () => {
  let folder: string;
  let namespace: Awaited<ReturnType<typeof privateMounts>>;
  let mounted = 0;
  const devices: string[] = [];
  const agents: RunningAgent[] = [];
  const clients: QgaClient[] = [];

  const inside = (...argv: string[]): Promise<string> => mustRun([...namespace.enter, ...argv]);

  const loopDevice = async (name: string, sizeMB: number, ...options: string[]): Promise<string> => {
    const image = join(folder, name);
    await mustRun(["truncate", "-s", `${sizeMB}M`, image]);
    if (options.includes("--partscan")) await Bun.write(Bun.file(image), partitionTable((sizeMB * MiB) / 512));
    await mustRun(["truncate", "-s", `${sizeMB}M`, image]);
    const device = (await mustRun(["losetup", "--find", "--show", ...options, image])).trim();
    devices.push(device);
    return device;
  };

  const mount = async (device: string, mountpoint: string, ...options: string[]): Promise<void> => {
    mounted++;
    // The shell's printf(1) makes the name, for bytes that are no text.
    await inside(
      "sh",
      "-c",
      `p=$(printf '${mountpoint}x'); p=\${p%x}; mkdir -p "$p"; mount "$@" "$p"`,
      "sh",
      ...options,
      device,
    );
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "inguest-storage-"));
    namespace = await privateMounts();
    const filesystems = await Bun.file("/proc/filesystems").text();
    const has = (type: string): boolean => new RegExp(`\\t${type}\\n`).test(filesystems);

    const ext4 = await loopDevice("ext4", 64);
    await mustRun(["mkfs.ext4", "-q", "-m", "10", ext4]);
    await mount(ext4, `${folder}/a b`);
    await inside("mkdir", `${folder}/a b/sub`, `${folder}/bound`);
    await inside("mount", "--bind", `${folder}/a b/sub`, `${folder}/bound`);
    const parted = await loopDevice("parted", 32, "--partscan");
    if (statSync(`${parted}p1`, { throwIfNoEntry: false }) !== undefined) {
      await mustRun(["mkfs.ext4", "-q", `${parted}p1`]);
      await mount(`${parted}p1`, `${folder}/read-only`, "-r");
    }
    if (has("xfs")) {
      const xfs = await loopDevice("xfs", 320);
      await mustRun(["mkfs.xfs", "-q", xfs]);
      await mount(xfs, `${folder}/\\377\\303\\244 \\342\\202\\n#`);
    }
    if (has("btrfs")) {
      const pool = [await loopDevice("btrfs1", 128), await loopDevice("btrfs2", 128)];
      await mustRun(["mkfs.btrfs", "-q", "-f", ...pool]);
      await run(["btrfs", "device", "scan", ...pool]);
      await mount(pool[0]!, `${folder}/pool`, "-o", `device=${pool[1]}`);
    }

    const peer = await obtainPeer();
    for (const [name, command] of [
      ["ours", inguestCommand],
      ["theirs", peer.command],
    ] as const) {
      const socketPath = join(folder, `${name}.sock`);
      agents.push(await startAgent([...namespace.enter, ...command], { socketPath, stateDir: join(folder, name) }));
      clients.push(await connect(socketPath));
    }
  });

  afterAll(async () => {
    for (const client of clients) client.close();
    for (const agent of agents) await agent.stop();
    await namespace.end();
    for (const device of devices) await run(["losetup", "-d", device]);
    await rm(folder, { recursive: true, force: true });
  });

  /** Asks the real agent before and after ours, again if its own answer has changed: the machine goes on working. */
  async function askBoth(command: string, adjust: (value: Json) => Json = (value) => value): Promise<[string, string]> {
    const [ours, theirs] = clients as [QgaClient, QgaClient];
    const ask = async (client: QgaClient): Promise<string> => {
      client.send(command);
      return printJson(adjust(parseJson(await client.line())));
    };
    for (let attempt = 0; ; attempt++) {
      const before = await ask(theirs);
      const own = await ask(ours);
      if (own === before || attempt === 4 || before === (await ask(theirs))) return [own, before];
    }
  }

  const returned = (text: string): Json[] => {
    const reply = parseJson(text);
    const list = isObject(reply) ? reply.return : undefined;
    if (!Array.isArray(list)) throw new Error(`no list: ${text}`);
    return list;
  };

  test("guest-get-fsinfo is the same text, member by member", async () => {
    const [ours, theirs] = await askBoth("guest-get-fsinfo");
    expect(ours).toBe(theirs);
    const found = returned(ours).filter((each) => isObject(each) && String(each.mountpoint).startsWith(folder));
    const text = printJson(found);
    expect(text).toContain(`"mountpoint": "${folder}/a b"`);
    // A bind mount of a device that is in the list already is not another filesystem.
    expect(text).not.toContain("/bound");
    expect(found).toHaveLength(mounted);
    const ext4 = found.find((each) => isObject(each) && each.mountpoint === `${folder}/a b`);
    if (!isObject(ext4)) throw new Error("no ext4");
    const kept = Number(ext4["total-bytes-privileged"]) - Number(ext4["total-bytes"]);
    expect(kept / (64 * MiB)).toBeCloseTo(0.1, 1);
  });

  test("guest-get-disks is the same text, member by member", async () => {
    const [ours, theirs] = await askBoth("guest-get-disks");
    expect(ours).toBe(theirs);
    const names = returned(ours).map((each) => (isObject(each) ? String(each.name) : ""));
    for (const device of devices) expect(names).toContain(device);
  });

  test.each(["guest-get-vcpus", "guest-get-memory-blocks", "guest-get-memory-block-info"])(
    "%s too",
    async (command) => {
      const [ours, theirs] = await askBoth(command);
      expect(ours).toBe(theirs);
    },
  );

  /** Nothing here changes anything: what is asked for is so already, or cannot be. */
  const harmless: readonly (readonly [string, Json])[] = [
    ["guest-set-vcpus", { vcpus: [] }],
    ["guest-set-vcpus", { vcpus: [{ "logical-id": 0, online: true }] }],
    ["guest-set-vcpus", { vcpus: [{ "logical-id": 0, online: true, "can-offline": true }] }],
    ["guest-set-vcpus", { vcpus: [{ "logical-id": 4096, online: false }] }],
    ["guest-set-vcpus", { vcpus: [{ "logical-id": -1, online: true }] }],
    ["guest-set-vcpus", { vcpus: [{ "logical-id": 9223372036854775807n, online: true }] }],
    [
      "guest-set-vcpus",
      {
        vcpus: [
          { "logical-id": 0, online: true },
          { "logical-id": 4096, online: false },
        ],
      },
    ],
    ["guest-set-memory-blocks", { "mem-blks": [] }],
    ["guest-set-memory-blocks", { "mem-blks": [{ "phys-index": 0, online: true }] }],
    ["guest-set-memory-blocks", { "mem-blks": [{ "phys-index": 4294967295, online: true }] }],
    ["guest-set-memory-blocks", { "mem-blks": [{ "phys-index": 18446744073709551615n, online: false }] }],
    [
      "guest-set-memory-blocks",
      {
        "mem-blks": [
          { "phys-index": 4294967295, online: false },
          { "phys-index": 0, online: true },
        ],
      },
    ],
  ];

  test.each(harmless.map(([command, given]) => [command, printJson(given)]))("%s %s", async (command, given) => {
    const answers: string[] = [];
    for (const client of clients) {
      client.send(command, parseJson(given));
      answers.push(await client.line());
    }
    expect(answers[0]!).toBe(answers[1]!);
  });
});

const jail = machine.available ? await ensurePackages(jailPackages) : machine;

describeWith("guest-fstrim of ours", jail, () => {
  test("gives the blocks of deleted files back, and says how many", async () => {
    await using place = await makeJail();
    const images = [await place.mount("ext4", "/mnt/a"), await place.mount("xfs", "/mnt/b")];
    const allocated = () => images.map((image) => statSync(image).blocks * 512);
    const { client } = await place.start();
    const trim = async (given?: Json): Promise<{ [key: string]: Json }[]> => {
      const reply = await client.call("guest-fstrim", given, { timeoutMs: 60_000 });
      const paths = isObject(reply) ? reply.paths : undefined;
      return Array.isArray(paths) ? paths.filter(isObject) : [];
    };

    const first = await trim();
    expect(first.map(({ path }) => path)).toEqual(["/mnt/b", "/mnt/a"]);
    expect(Object.keys(first[0]!)).toEqual(["minimum", "path", "trimmed"]);
    const empty = allocated();
    for (const mountpoint of ["/mnt/a", "/mnt/b"]) {
      await place.must(`dd if=/dev/urandom of=${mountpoint}/file bs=1M count=100 conv=fsync 2>/dev/null`);
    }
    const full = allocated();
    for (const [index, bytes] of full.entries()) expect(bytes - empty[index]!).toBeGreaterThan(95 * MiB);
    await place.must("rm /mnt/a/file /mnt/b/file && sync");

    // XFS frees what was deleted a little later, and ext4 trims nothing twice.
    const trimmed = new Map<Json | undefined, number>();
    await waitFor(
      async () => {
        for (const { path, trimmed: bytes, error } of await trim()) {
          expect(error).toBeUndefined();
          trimmed.set(path, (trimmed.get(path) ?? 0) + Number(bytes));
        }
        return allocated().every((bytes, index) => full[index]! - bytes > 95 * MiB) || undefined;
      },
      10_000,
      () => `the images did not shrink: ${full} bytes before, ${allocated()} now`,
      250,
    );
    for (const bytes of trimmed.values()) expect(bytes).toBeGreaterThan(95 * MiB);

    // Larger than either filesystem.
    const refused = await trim({ minimum: 2n ** 40n });
    expect(refused.map(({ error }) => error)).toEqual(Array(2).fill("failed to trim: Invalid argument"));
    client.close();
  });

  test("leaves a frozen filesystem alone", async () => {
    await using place = await makeJail();
    await place.mount("ext4", "/mnt/a");
    const { client } = await place.start();
    expect(await client.call("guest-fsfreeze-freeze")).toBe(1);
    await expect(client.call("guest-fstrim")).rejects.toMatchObject({ class: "CommandNotFound" });
    expect(await client.call("guest-fsfreeze-thaw")).toBe(1);
    expect(await client.call("guest-fstrim")).toMatchObject({ paths: [{ path: "/mnt/a" }] });
    client.close();
  });
});
