/** The freeze hook for Redis, with a server that would not save anything by itself. */

import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { describeWith } from "../lab/apt.ts";
import { type DatabaseLab, databaseAvailability, makeDatabaseLab } from "./database.ts";

setDefaultTimeout(60_000);

const PACKAGES = ["redis-server"];

const server = (folder: string, port: number, ...options: readonly string[]): string =>
  `su -s /bin/sh -c 'exec redis-server --dir ${folder} --port ${port} ${options.join(" ")}' redis`;
const cli = (command: string, port = 6379): string => `redis-cli -p ${port} ${command}`;
const NEVER_SAVED = `--save ""`;

describeWith("Redis", await databaseAvailability(PACKAGES), () => {
  let lab: DatabaseLab;
  beforeEach(async () => {
    lab = await makeDatabaseLab(PACKAGES, "redis");
    await lab.must("install -d -o redis /data/db");
  });
  afterEach(() => lab?.[Symbol.asyncDispose]());

  const begin = async (...options: readonly string[]): Promise<void> => {
    await lab.start(server("/data/db", 6379, ...options));
    await lab.await(`${cli("ping")} | grep -x PONG`);
    expect(await lab.must(cli("set color blue"))).toBe("OK");
  };
  /** Starts a second server on the copy. @returns the value that it knows */
  const inCopy = async (...options: readonly string[]): Promise<string> => {
    await lab.start(server("/restored/db", 6380, ...options));
    await lab.await(`${cli("ping", 6380)} | grep -x PONG`);
    return lab.must(cli("get color", 6380));
  };

  test("a copy of the frozen disk holds the last write, and writes wait until the thaw", async () => {
    await begin(NEVER_SAVED);
    await lab.freeze();
    const late = lab.must(cli("set color red"));
    expect(await Promise.race([late, Bun.sleep(500).then(() => "waits")])).toBe("waits");
    expect(await lab.must(cli("get color"))).toBe("blue");
    await lab.copyDisk();
    await lab.thaw();
    expect(await late).toBe("OK");
    expect(await inCopy(NEVER_SAVED)).toBe("blue");
    expect(await lab.must(cli("get color"))).toBe("red");
  });

  test("without the hook it would be lost", async () => {
    await begin(NEVER_SAVED);
    await lab.must("rm /etc/qemu/fsfreeze-hook.d/redis");
    await lab.freeze();
    await lab.copyDisk();
    await lab.thaw();
    expect(await inCopy(NEVER_SAVED)).toBe("");
  });

  test("with an append-only file and a password", async () => {
    const options = ["--appendonly yes", "--requirepass secret"];
    await lab.configure("REDIS_OPTIONS=--no-auth-warning\nREDISCLI_AUTH=secret\n");
    await lab.start(server("/data/db", 6379, ...options));
    await lab.await(`${cli("-a secret --no-auth-warning ping")} | grep -x PONG`);
    await lab.must(cli("-a secret --no-auth-warning set color blue"));
    await lab.freeze();
    await lab.copyDisk();
    await lab.thaw();
    await lab.start(server("/restored/db", 6380, "--appendonly yes"));
    await lab.await(`${cli("ping", 6380)} | grep -x PONG`);
    expect(await lab.must(cli("get color", 6380))).toBe("blue");
  });

  test("what cannot be saved refuses the freeze, and writes go on", async () => {
    await begin(NEVER_SAVED);
    await lab.must("chmod 500 /data/db");
    await expect(lab.freeze()).rejects.toThrow("BGSAVE failed: its reason is in the server's log");
    expect(await lab.agent.client.call("guest-fsfreeze-status")).toBe("thawed");
    await lab.must("redis-cli config set stop-writes-on-bgsave-error no");
    expect(await lab.must(cli("set color green"))).toBe("OK");
  });

  test("a wrong password refuses the freeze", async () => {
    await begin(NEVER_SAVED);
    await lab.must(cli("config set requirepass secret"));
    await expect(lab.freeze()).rejects.toThrow("NOAUTH Authentication required.");
  });

  test("a server that is not running is left alone", async () => {
    await lab.freeze();
    await lab.thaw();
  });
});
