/** What the agent says about the guest, member by member against the real one, in the same namespaces. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inguestCommand, type RunningAgent, startAgent } from "../lab/agent.ts";
import { availabilityOf, describeWith, ensurePackages } from "../lab/apt.ts";
import { obtainPeer } from "../lab/peer.ts";
import { mustRun, run, waitFor } from "../lab/process.ts";
import { connect, isObject, type Json, parseJson, type QgaClient } from "../lab/qga-client.ts";

const available = await availabilityOf(async () => {
  const packages = await ensurePackages(["iproute2", "tzdata", "util-linux"]);
  if (!packages.available) throw new Error(packages.reason);
  await mustRun(["unshare", "--net", "--uts", "--mount", "true"]);
  await obtainPeer();
});

/** The socket is there before it listens. */
const connectSoon = (path: string): Promise<QgaClient> =>
  waitFor(
    () => connect(path).catch(() => undefined),
    5_000,
    () => `no connection to ${path}`,
  );

const folder = mkdtempSync("/tmp/inguest-facts-");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Both agents, side by side. */
interface Pair {
  readonly ours: QgaClient;
  readonly theirs: QgaClient;
  stop(): Promise<void>;
}

interface Surroundings {
  /** Words before each agent's command line. */
  readonly within?: readonly string[];
  readonly env?: Record<string, string>;
}

async function startPair({ within = [], env = {} }: Surroundings = {}): Promise<Pair> {
  const peer = await obtainPeer();
  const agents: RunningAgent[] = [];
  const client = async (name: string, command: readonly string[]): Promise<QgaClient> => {
    const socketPath = join(folder, `${name}.sock`);
    agents.push(await startAgent([...within, ...command], { socketPath, stateDir: join(folder, name), env }));
    const connected = await connectSoon(socketPath);
    await connected.sync();
    return connected;
  };
  const ours = await client("ours", inguestCommand);
  const theirs = await client("theirs", peer.command);
  return {
    ours,
    theirs,
    async stop() {
      ours.close();
      theirs.close();
      for (const agent of agents) await agent.stop();
    },
  };
}

async function withPair<T>(surroundings: Surroundings, action: (pair: Pair) => Promise<T>): Promise<T> {
  const pair = await startPair(surroundings);
  try {
    return await action(pair);
  } finally {
    await pair.stop();
  }
}

const line = async (client: QgaClient, execute: string): Promise<string> => {
  client.send(execute);
  return client.line();
};

/** Asks both until nothing changed meanwhile; gives both replies as they came. */
async function bothLines({ ours, theirs }: Pair, execute: string): Promise<[ours: string, theirs: string]> {
  for (let attempt = 1; ; attempt++) {
    const before = await line(theirs, execute);
    const own = await line(ours, execute);
    const after = await line(theirs, execute);
    if (before === after || attempt === 20) return [own, after];
  }
}

async function expectSameLine(pair: Pair, execute: string): Promise<Json> {
  const [own, real] = await bothLines(pair, execute);
  expect(own).toBe(real);
  const reply = parseJson(own);
  if (!isObject(reply) || reply.return === undefined) throw new Error(`${execute}: ${own}`);
  return reply.return;
}

const asList = (value: Json | undefined): Json[] => {
  if (!Array.isArray(value)) throw new Error("not a list");
  return value;
};

const asObject = (value: Json | undefined): { [key: string]: Json } => {
  if (!isObject(value)) throw new Error("not an object");
  return value;
};

/** A command line in namespaces of its own, after `setup` has run there. */
const unshared = (setup: string): string[] => [
  ...["unshare", "--uts", "--mount", "--net", "sh", "-ec"],
  `${setup}\nexec "$0" "$@"`,
];

describeWith("facts of the guest, against the real agent", available, () => {
  describe("in a network namespace", () => {
    const namespace = `inguest-facts-${process.pid}`;
    let pair: Pair;

    /** What this kernel has no module for is left out. */
    const shell = async (script: string): Promise<void> => {
      await mustRun(["ip", "netns", "exec", namespace, "bash", "-c", script]);
    };

    beforeAll(async () => {
      await mustRun(["ip", "netns", "add", namespace]);
      await shell(`
        sysctl -qw net.ipv6.conf.all.forwarding=0
        ip link set lo up
        ip link add veth0 type veth peer name veth1
        ip link add dummy0 type dummy && ip link set dummy0 up
        ip link add gre1 type gre local 10.9.0.1 remote 10.9.0.2
        ip link add down0 type veth peer name down1
        ip link add down2 type bridge
        ip addr add 10.3.0.1/32 dev down2
        ip tuntap add tun0 mode tun
        ip addr add 10.4.0.1 peer 10.4.0.2/30 dev tun0
        ip link add 'we"ird\\x' type veth peer name $'\\xff\\xfe\\xc3'
        ip link add '日本\u3000x' type veth peer name \u00fc-_.@+
        ip link set veth0 up; ip link set veth1 up
        for dev in 'we"ird\\x' $'\\xff\\xfe\\xc3' '日本\u3000x' '\u00fc-_.@+'; do ip link set "$dev" up; done
        ip addr add 127.0.0.2/8 dev lo label lo:1
        ip addr add 10.1.0.1/24 dev veth0
        ip addr add 10.1.0.2/25 dev veth0 label veth0:1
        ip addr add 10.1.0.3/0 dev veth0 label veth0:with.dot
        ip addr add 10.2.0.1/16 broadcast 10.2.255.255 dev veth0 label veth0:1
        ip -6 addr add 2001:db8::1/64 dev veth0 nodad
        ip -6 addr add 2001:db8:0:1:0:0:0:1/127 dev veth0 nodad
        ip -6 addr add ::ffff:1.2.3.4/128 dev veth1 nodad
        ip -6 addr add ::5.6.7.8/120 dev veth1 nodad
        ip -6 addr add fd00::a peer fd00::b/128 dev veth1 nodad
        ip addr add 192.0.2.1/31 dev '日本\u3000x'
        ip addr add 192.0.2.3/30 dev $'\\xff\\xfe\\xc3'
        ip route add default via 10.1.0.9 dev veth0 metric 4294967295
        ip route add 10.5.0.0/16 dev veth0 advmss 1400 window 9999 rtt 30ms
        ip route add unreachable 10.6.0.0/16
        ip route add blackhole 10.7.0.0/16 metric 7
        ip route add 10.8.0.0/13 dev '日本\u3000x'
        ip -6 route add default via 2001:db8::9 dev veth0 metric 1
        ip -6 route add 2001:db8:5::/48 from 2001:db8::/64 dev veth0
        ip -6 route add unreachable 2001:db8:6::/48
        true
      `);
      pair = await startPair({ within: ["ip", "netns", "exec", namespace] });
    });

    afterAll(async () => {
      await pair?.stop();
      await run(["ip", "netns", "del", namespace]);
    });

    test("interfaces: aliases, tunnels, interfaces that are down, odd names", async () => {
      const found = asList(await expectSameLine(pair, "guest-network-get-interfaces")).map(asObject);
      const names = found.map(({ name }) => name);
      for (const name of [
        "lo",
        "veth0",
        "veth0:1",
        "veth0:with.dot",
        "down0",
        "down2",
        "tun0",
        'we"ird\\x',
        "\u00fc-_.@+",
      ]) {
        expect(names).toContain(name);
      }
      expect(names).toContain("日本\u3000x");
      const alias = found.find(({ name }) => name === "veth0:1");
      expect(asList(alias?.["ip-addresses"])).toHaveLength(2);
      expect(found.find(({ name }) => name === "down0")).not.toContainKey("ip-addresses");
    });

    test("an interface that came and one that went", async () => {
      await shell(
        "ip link add late0 type veth peer name late1 && ip addr add 10.99.0.1/8 dev late1; ip link del down0",
      );
      const names = asList(await expectSameLine(pair, "guest-network-get-interfaces")).map((it) => asObject(it).name);
      expect(names).toContain("late1");
      expect(names).not.toContain("down0");
    });

    test("counters of an interface that carries traffic", async () => {
      // Until the other end is known: the first datagrams only make neighbours meet.
      await shell("ping -qc 3 -i 0.2 127.0.0.1 >/dev/null || true");
      const found = asList(await expectSameLine(pair, "guest-network-get-interfaces")).map(asObject);
      const counters = asObject(found.find(({ name }) => name === "veth0")?.statistics);
      expect(Number(counters["tx-packets"])).toBeGreaterThan(0);
    });

    test("more interfaces than one read gives", async () => {
      await shell("for i in $(seq 60); do echo link add many$i type bridge; done | ip -batch -");
      expect(asList(await expectSameLine(pair, "guest-network-get-interfaces")).length).toBeGreaterThan(60);
      await shell("for i in $(seq 60); do echo link del many$i; done | ip -batch -");
    }, 30_000);

    test("routes of both versions", async () => {
      const routes = asList(await expectSameLine(pair, "guest-network-get-route")).map(asObject);
      expect(routes.filter(({ version }) => version === 4).length).toBeGreaterThan(5);
      expect(routes.filter(({ version }) => version === 6).length).toBeGreaterThan(5);
      const find = (destination: string) => routes.find((route) => route.destination === destination);
      expect(find("10.5.0.0")).toMatchObject({ mask: "255.255.0.0", mtu: 1440, window: 9999, iface: "veth0" });
      expect(find("0.0.0.0")).toMatchObject({ metric: -1, gateway: "10.1.0.9" });
      expect(find("10.6.0.0")).toMatchObject({ iface: "*" });
      expect(find("2001:db8:6::")).toMatchObject({ desprefixlen: "48" });
    });
  });

  test("a host name that the real agent has no room for", async () => {
    const name = "x".repeat(64);
    await withPair({ within: unshared(`hostname ${name}`) }, async ({ ours }) => {
      expect(await ours.call("guest-get-host-name")).toEqual({ "host-name": name });
    });
  });

  describe("setting the clock where that is not permitted", () => {
    let pair: Pair;
    beforeAll(async () => {
      pair = await startPair({ within: ["unshare", "--user", "--map-root-user"] });
    });
    afterAll(() => pair?.stop());

    test.each([
      ["a time", { time: 1_700_000_000_123_456_789n }],
      ["the first one", { time: 0 }],
      ["the last one", { time: 3_155_759_999_999_999_999n }],
      ["from the hardware clock", {}],
    ])("%s", async (_name, time) => {
      const [own, real] = await Promise.all(
        [pair.ours, pair.theirs].map((client) => {
          client.send("guest-set-time", time);
          return client.line();
        }),
      );
      expect(own).toContain('"error"');
      expect(own).toBe(real!);
    });

    test.each([-1, -1_000_000_000_000, 3_155_760_000_000_000_000n, 2n ** 63n - 1n])("no time: %p", async (time) => {
      await expect(pair.ours.call("guest-set-time", { time })).rejects.toThrow("GenericError: Invalid time");
    });
  });

  test("an empty network namespace", async () => {
    await withPair({ within: unshared("true") }, async (pair) => {
      await expectSameLine(pair, "guest-network-get-interfaces");
      await expectSameLine(pair, "guest-network-get-route");
    });
  });

  test.each(["plain", "a.long.name.of.an.example.org", "x".repeat(63), "na\u00efve"])("host name %s", async (name) => {
    await withPair(
      { within: unshared(`hostname '${name}' || printf '%s' '${name}' >/proc/sys/kernel/hostname`) },
      async (pair) => {
        expect(await expectSameLine(pair, "guest-get-host-name")).toEqual({ "host-name": name });
      },
    );
  });

  test("the operating system of this machine", async () => {
    await withPair({}, async (pair) => {
      const info = asObject(await expectSameLine(pair, "guest-get-osinfo"));
      expect(info["kernel-release"]).toBe((await mustRun(["uname", "-r"])).trim());
    });
  });

  const OS_RELEASE: readonly (readonly [name: string, text: string])[] = [
    [
      "everything",
      'NAME="A B"\nVERSION="1 (x)"\nID=ab\nVERSION_ID="1"\nPRETTY_NAME="A \\"B\\" \\$1 \\`c\\` \\\\ \\n"\nVARIANT="Server"\nVARIANT_ID=server\n',
    ],
    ["comments, blanks and unknown names", '# c\n\n  \nFOO=bar\nNAME=plain\nHOME_URL="https://example.org/"\n'],
    ["words without quotes", "NAME=foo bar\nVERSION=a;b\nID=c\n"],
    ["assigned twice", "ID=one\nID=two\n"],
    ["empty values", 'ID=\nNAME=""\n'],
    ["no end of line", "ID=abc"],
    ["other alphabets", 'NAME="\u540d\u524d \u{1f427}"\n'],
    ["empty", ""],
  ];

  test.each(OS_RELEASE)("os-release: %s", async (_name, text) => {
    const path = join(folder, "os-release");
    writeFileSync(path, text);
    await withPair({ env: { QGA_OS_RELEASE: path } }, (pair) => expectSameLine(pair, "guest-get-osinfo"));
  });

  test("os-release: missing", async () => {
    await withPair({ env: { QGA_OS_RELEASE: "/nonexistent" } }, (pair) => expectSameLine(pair, "guest-get-osinfo"));
  });

  test.each([
    "Europe/Berlin",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Pacific/Chatham",
    "Africa/Casablanca",
    "Europe/Dublin",
  ])("time zone of /etc/localtime: %s", async (zone) => {
    const setup = `mount --bind /usr/share/zoneinfo/${zone} "$(readlink -f /etc/localtime)"`;
    await withPair({ within: unshared(setup) }, (pair) => expectSameLine(pair, "guest-get-timezone"));
  });

  test.each([
    "Asia/Tokyo",
    ":Australia/Lord_Howe",
    "CET-1CEST,M3.5.0,M10.5.0/3",
    "<-03>3",
    "UTC",
    "XYZ+4:30",
    "EST5EDT",
  ])("time zone of TZ: %s", async (zone) => {
    await withPair({ env: { TZ: zone } }, (pair) => expectSameLine(pair, "guest-get-timezone"));
  });

  /** A record of utmp(5) as glibc has it on x86-64. */
  const utmpRecord = (type: number, user: string, terminal: string, seconds: number, microseconds: number): Buffer => {
    const record = Buffer.alloc(384);
    record.writeInt16LE(type, 0);
    record.write(terminal, 8);
    record.write(user, 44, 32);
    record.writeUInt32LE(seconds, 340);
    record.writeUInt32LE(microseconds, 344);
    return record;
  };

  test("users: the earliest login of each, other records left out", async () => {
    const path = join(folder, "utmp");
    const records = [
      utmpRecord(2, "reboot", "~", 1, 0),
      utmpRecord(7, "root", "tty1", 1_700_000_100, 5),
      utmpRecord(7, "alice", "pts/0", 1_700_000_000, 123_456),
      utmpRecord(6, "LOGIN", "tty2", 1_700_000_000, 0),
      utmpRecord(7, "root", "pts/1", 1_700_000_001, 999_999),
      utmpRecord(8, "bob", "pts/2", 1_700_000_001, 1),
      utmpRecord(7, "x".repeat(31), "pts/3", 3_000_000_000, 0),
      utmpRecord(7, "j\u00fcrgen", "pts/4", 1_700_000_002, 500_000),
      Buffer.alloc(100, 7),
    ];
    writeFileSync(path, Buffer.concat(records));
    const setup = `mount -t tmpfs tmpfs /run; cp ${path} /run/utmp`;
    await withPair({ within: unshared(setup) }, async (pair) => {
      const users = asList(await expectSameLine(pair, "guest-get-users")).map(asObject);
      expect(users.map(({ user }) => user)).toEqual(["root", "alice", "x".repeat(31), "j\u00fcrgen"]);
      expect(users[0]?.["login-time"]).toBe(1_700_000_001.999_999);
    });
  });

  test("users: no record of logins at all", async () => {
    await withPair({ within: unshared("mount -t tmpfs tmpfs /run") }, async (pair) => {
      expect(await expectSameLine(pair, "guest-get-users")).toEqual([]);
    });
  });

  describe("counters that go on meanwhile", () => {
    let pair: Pair;
    beforeAll(async () => {
      pair = await startPair();
    });
    afterAll(() => pair?.stop());

    /** Ours must lie between two replies of the real agent, with the same members in the same order. */
    function expectBetween(low: Json, value: Json, high: Json, path: string): void {
      if (isObject(low) && isObject(value) && isObject(high)) {
        expect({ path, members: Object.keys(value) }).toEqual({ path, members: Object.keys(low) });
        for (const [key, member] of Object.entries(value))
          expectBetween(low[key]!, member, high[key]!, `${path}.${key}`);
      } else if (Array.isArray(low) && Array.isArray(value) && Array.isArray(high)) {
        expect({ path, length: value.length }).toEqual({ path, length: low.length });
        value.forEach((member, index) => {
          expectBetween(low[index]!, member, high[index]!, `${path}[${index}]`);
        });
      } else if (typeof low === "number" && typeof value === "number" && typeof high === "number") {
        expect({ path, between: value >= Math.min(low, high) && value <= Math.max(low, high) }).toEqual({
          path,
          between: true,
        });
      } else expect({ path, value }).toEqual({ path, value: low });
    }

    test.each(["guest-get-time", "guest-get-cpustats", "guest-get-diskstats"])("%s", async (execute) => {
      for (let round = 0; round < 5; round++) {
        const low = parseJson(await line(pair.theirs, execute));
        const own = parseJson(await line(pair.ours, execute));
        const high = parseJson(await line(pair.theirs, execute));
        const asNumbers = (reply: Json): Json =>
          JSON.parse(JSON.stringify(reply, (_, it) => (typeof it === "bigint" ? Number(it) : it)));
        expectBetween(asNumbers(low), asNumbers(own), asNumbers(high), execute);
      }
    });

    test("guest-get-load", async () => {
      await expectSameLine(pair, "guest-get-load");
    });
  });
});
