/** Commands under Wine, each held against what the machine itself says. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readdir, symlink } from "node:fs/promises";
import { hostname, networkInterfaces } from "node:os";
import { dirname, join } from "node:path";
import { openWire, type Wire } from "../conformance/wire.ts";
import { describeWith } from "../lab/apt.ts";
import { mustRun, waitFor } from "../lab/process.ts";
import { isObject, type Json, parseJson } from "../lab/qga-client.ts";
import { openWine, startWineAgent, type WineAgent, type WineLab, wineAvailability } from "./wine.ts";

setDefaultTimeout(120_000);

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const fromBase64 = (value: Json | undefined): string => Buffer.from(String(value), "base64").toString();

/** Wine shows the machine's files as drive Z:. */
const windowsPath = (path: string): string => `Z:${path.replaceAll("/", "\\")}`;

describeWith("commands on Windows", await wineAvailability(), () => {
  let lab: WineLab;
  let agent: WineAgent;
  let wire: Wire;

  beforeAll(async () => {
    lab = await openWine();
    await lab.compile("netapi32.c", "netapi32.dll", ["-shared"]);
    agent = await startWineAgent(lab, 1, [], { WINEDLLOVERRIDES: "netapi32=n", MARK: "of the agent" });
    wire = await openWire(agent.socketPath);
  });

  afterAll(async () => {
    wire?.close();
    await lab?.close();
  });

  const reply = async (command: string, args: Record<string, Json> = {}) => {
    const line = `${JSON.stringify({ execute: command, arguments: args })}\n`;
    const value = parseJson((await wire.exchange([Buffer.from(line)])).reply);
    if (!isObject(value)) throw new Error("no object");
    return value;
  };
  const returned = async (command: string, args: Record<string, Json> = {}): Promise<Json> => {
    const { return: result, error } = await reply(command, args);
    if (result === undefined) throw new Error(JSON.stringify(error));
    return result;
  };
  const object = async (command: string, args: Record<string, Json> = {}) => {
    const result = await returned(command, args);
    if (!isObject(result)) throw new Error("no object");
    return result;
  };
  const list = async (command: string) => {
    const result = await returned(command);
    if (!Array.isArray(result)) throw new Error("no list");
    return result.filter(isObject);
  };
  const description = async (command: string, args: Record<string, Json> = {}) => {
    const { error } = await reply(command, args);
    return isObject(error ?? null) ? (error as { desc: string }).desc : undefined;
  };
  const runProgram = async (args: Record<string, Json>) => {
    const { pid } = await object("guest-exec", args);
    return waitFor(
      async () => {
        const status = await object("guest-exec-status", { pid: pid ?? 0 });
        return status.exited === true ? status : undefined;
      },
      20_000,
      () => "the program does not end",
    );
  };

  test("guest-info lists what qemu-ga has on Windows", async () => {
    const { supported_commands: commands } = await object("guest-info");
    const names = Array.isArray(commands) ? commands.filter(isObject).map(({ name }) => String(name)) : [];
    expect(names).toContain("guest-get-devices");
    expect(names).toContain("guest-fsfreeze-freeze");
    for (const name of [
      "guest-suspend-hybrid",
      "guest-set-vcpus",
      "guest-get-memory-blocks",
      "guest-set-memory-blocks",
      "guest-get-memory-block-info",
      "guest-get-diskstats",
      "guest-get-cpustats",
      "guest-get-load",
    ]) {
      expect(names).not.toContain(name);
      expect(await description(name)).toBe(`The command ${name} has not been found`);
    }
  });

  test("the computer's name", async () => {
    const { "host-name": name } = await object("guest-get-host-name");
    expect(String(name).toLowerCase()).toBe(hostname().split(".")[0]!.slice(0, 15).toLowerCase());
  });

  test("the system", async () => {
    const info = await object("guest-get-osinfo");
    const { stdout } = await lab.run(["cmd", "/c", "ver"]);
    const [, version, build] = /(\d+\.\d+)\.(\d+)/.exec(stdout) ?? [];
    expect(info).toMatchObject({
      id: "mswindows",
      name: "Microsoft Windows",
      "kernel-version": version,
      "kernel-release": build,
      machine: "x86_64",
      variant: "client",
      "variant-id": "client",
    });
  });

  test("time and zone", async () => {
    const now = BigInt(String(await returned("guest-get-time")));
    expect(Math.abs(Number(now / 1_000_000n) - Date.now())).toBeLessThan(5000);
    const { offset } = await object("guest-get-timezone");
    expect(Number(offset)).toBe(-60 * new Date().getTimezoneOffset() || 0);
  });

  test("processors", async () => {
    const count = Number((await mustRun(["nproc"])).trim());
    expect(await list("guest-get-vcpus")).toEqual(
      Array.from({ length: count }, (_, id) => ({ "logical-id": id, online: true, "can-offline": false })),
    );
  });

  test("interfaces and their addresses", async () => {
    const theirs = networkInterfaces();
    for (const ours of await list("guest-network-get-interfaces")) {
      const expected = theirs[String(ours.name)];
      if (expected === undefined) continue;
      const found = (Array.isArray(ours["ip-addresses"]) ? ours["ip-addresses"] : []).filter(isObject);
      for (const { address, cidr, scopeid } of expected) {
        expect(found).toContainEqual({
          "ip-address": scopeid ? `${address}%${scopeid}` : address,
          "ip-address-type": address.includes(":") ? "ipv6" : "ipv4",
          prefix: Number(cidr?.split("/")[1]),
        });
      }
      if (ours["hardware-address"] !== undefined) expect(String(ours["hardware-address"])).toBe(expected[0]!.mac);
    }
    const names = (await list("guest-network-get-interfaces")).map(({ name }) => String(name));
    for (const name of Object.keys(theirs)) expect(names).toContain(name);
  });

  test("the default route", async () => {
    const gateway = /default via (\S+) dev (\S+)/.exec(await mustRun(["ip", "-4", "route"]));
    const routes = await list("guest-network-get-route");
    if (gateway === null) return expect(routes.filter(({ mask }) => mask === "0.0.0.0")).toEqual([]);
    expect(routes).toContainEqual(
      expect.objectContaining({
        destination: "0.0.0.0",
        mask: "0.0.0.0",
        gateway: gateway[1],
        iface: gateway[2],
        version: 4,
      }),
    );
  });

  test("filesystems and their sizes", async () => {
    const drive = (await list("guest-get-fsinfo")).find(({ mountpoint }) => mountpoint === "C:\\");
    const [, total] = (await mustRun(["df", "-B1", "--output=source,size", lab.driveC]))
      .trim()
      .split("\n")[1]!
      .split(/\s+/);
    expect(Number(drive?.["total-bytes"])).toBe(Number(total));
    expect(String(drive?.name)).toMatch(/^\\\\\?\\Volume\{.*\}\\$/);
    expect(drive?.disk).toBeArray();
  });

  test("files", async () => {
    const path = "C:\\some file \u00e9.txt";
    const handle = await returned("guest-file-open", { path, mode: "w+" });
    expect(await object("guest-file-write", { handle, "buf-b64": base64("one two") })).toEqual({
      count: 7,
      eof: false,
    });
    expect(await object("guest-file-seek", { handle, offset: 4, whence: "set" })).toEqual({ position: 4, eof: false });
    expect(await object("guest-file-read", { handle })).toEqual({ count: 3, "buf-b64": base64("two"), eof: true });
    expect(await object("guest-file-flush", { handle })).toEqual({});
    expect(await object("guest-file-close", { handle })).toEqual({});
    expect(await Bun.file(join(lab.driveC, "some file \u00e9.txt")).text()).toBe("one two");
    const again = await returned("guest-file-open", { path, mode: "a" });
    await object("guest-file-write", { handle: again, "buf-b64": base64("!") });
    await object("guest-file-close", { handle: again });
    expect(await Bun.file(join(lab.driveC, "some file \u00e9.txt")).text()).toBe("one two!");
  });

  test("programs: output of both streams, and the exit code", async () => {
    const status = await runProgram({
      path: "cmd.exe",
      arg: ["/c", "echo out& echo err 1>&2& exit 3"],
      "capture-output": true,
    });
    expect(status.exitcode).toBe(3);
    expect(fromBase64(status["out-data"]).trim()).toBe("out");
    expect(fromBase64(status["err-data"]).trim()).toBe("err");
  });

  test("programs: arguments arrive as they are", async () => {
    const args = ["plain", "two words", 'a "quote"', "back\\slash\\", 'mixed \\" \\\\"', "", "%PATH%", "\u00e9\u4e2d"];
    const path = windowsPath(await lab.compile("arguments.c", "arguments.exe", ["-municode"]));
    const status = await runProgram({ path, arg: args, "capture-output": true });
    expect(Buffer.from(String(status["out-data"]), "base64").toString("utf16le").split("\n").slice(1, -1)).toEqual(
      args,
    );
  });

  test("programs: input and environment", async () => {
    // More than a pipe holds.
    const text = "input \u00e9\r\n".repeat(20_000);
    const path = windowsPath(await lab.compile("copy.c", "copy.exe"));
    const input = await runProgram({ path, "input-data": base64(text), "capture-output": true });
    expect(fromBase64(input["out-data"])).toBe(text);
    const own = await runProgram({ path: "cmd.exe", arg: ["/c", "echo %MARK%"], "capture-output": true });
    expect(fromBase64(own["out-data"]).trim()).toBe("of the agent");
    const given = await runProgram({
      path: "cmd.exe",
      arg: ["/c", "echo %MARK%"],
      env: ["SystemRoot=C:\\windows", "MARK=of the host"],
      "capture-output": true,
    });
    expect(fromBase64(given["out-data"]).trim()).toBe("of the host");
  });

  test("programs: batch files, and arguments that would be commands", async () => {
    await Bun.write(join(lab.driveC, "say.bat"), "@echo %1\r\n");
    const status = await runProgram({ path: "C:\\say.bat", arg: ["a & b"], "capture-output": true });
    expect(fromBase64(status["out-data"]).trim()).toBe('"a & b"');
    expect(await description("guest-exec", { path: "C:\\say.bat", arg: ['x" & calc'] })).toContain(
      "a batch file must not",
    );
  });

  test("programs: a command with quotes for the shell", async () => {
    const arg = ["/d", "/s", "/c", 'echo "a  b" & echo c'];
    const status = await runProgram({ path: "cmd.exe", arg, "capture-output": true });
    expect(fromBase64(status["out-data"]).replaceAll("\r", "").trim()).toMatch(/^"a {2}b" *\nc$/);
  });

  test("programs: one that is not there", async () => {
    expect(await description("guest-exec", { path: "no-such-program" })).toStartWith(
      "Failed to execute child process \u201cno-such-program\u201d (",
    );
  });

  test("passwords", async () => {
    const known = { username: "known", crypted: false };
    expect(await object("guest-set-user-password", { ...known, password: base64("pass w\u00f6rd") })).toEqual({});
    const written = await Bun.file(join(lab.driveC, "password.txt")).bytes();
    expect(Buffer.from(written.subarray(0, 5)).toString()).toBe("1003 ");
    expect(Buffer.from(written.subarray(5)).toString("utf16le")).toBe("pass w\u00f6rd");
    expect(await description("guest-set-user-password", { ...known, password: "YQ==", crypted: true })).toBe(
      "'crypted' must be off on this host",
    );
    expect(
      await description("guest-set-user-password", { username: "other", password: "YQ==", crypted: false }),
    ).toStartWith("failed to set password: ");
  });

  test("keys: add, list, remove, by a user's name", async () => {
    const username = (await lab.run(["cmd", "/c", "echo %USERNAME%"])).stdout.trim();
    expect(
      await object("guest-ssh-add-authorized-keys", { username, keys: ["ssh-ed25519 AAA one", "ssh-ed25519 BBB two"] }),
    ).toEqual({});
    expect(await object("guest-ssh-get-authorized-keys", { username })).toEqual({
      keys: ["ssh-ed25519 BBB two", "ssh-ed25519 AAA one"],
    });
    expect(await object("guest-ssh-remove-authorized-keys", { username, keys: ["ssh-ed25519 AAA one"] })).toEqual({});
    expect(await object("guest-ssh-get-authorized-keys", { username })).toEqual({ keys: ["ssh-ed25519 BBB two"] });
    expect(await description("guest-ssh-get-authorized-keys", { username: "nobody-here" })).toStartWith(
      "failed to lookup user 'nobody-here': ",
    );
  });

  test("keys: a link that waits for them is not followed", async () => {
    const username = (await lab.run(["cmd", "/c", "echo %USERNAME%"])).stdout.trim();
    const keys = (await mustRun(["find", lab.driveC, "-name", "*authorized_keys"])).trim();
    const victim = join(lab.driveC, "victim");
    await Bun.write(victim, "as it was");
    await symlink(victim, `${keys}.new`);
    expect(await object("guest-ssh-add-authorized-keys", { username, keys: ["ssh-ed25519 CCC three"] })).toEqual({});
    expect(await Bun.file(victim).text()).toBe("as it was");
    expect(await object("guest-ssh-get-authorized-keys", { username })).toEqual({
      keys: ["ssh-ed25519 CCC three", "ssh-ed25519 BBB two"],
    });
    expect((await readdir(dirname(keys))).toSorted()).toEqual(["authorized_keys", "authorized_keys.new"]);
  });

  test("what Wine cannot do is an error, not a crash", async () => {
    expect(await description("guest-suspend-ram")).toBe("suspend-to-ram not supported by OS");
    expect(await description("guest-shutdown", { mode: "sideways" })).toStartWith("mode is invalid");
    expect(await returned("guest-get-disks")).toBeArray();
    expect(await returned("guest-get-devices")).toBeArray();
    expect(await returned("guest-get-users")).toBeArray();
    expect(await object("guest-ping")).toEqual({});
  });

  test("an idle agent makes no system call", async () => {
    await Bun.sleep(3000);
    const pid = (await mustRun(["pgrep", "-f", "inguest.exe -m isa-serial"])).trim().split("\n").at(-1) ?? "";
    const switches = async (): Promise<string> =>
      (await Bun.file(`/proc/${pid}/task/${pid}/status`).text()).match(/ctxt_switches:\s*\d+/g)?.join(" ") ?? "";
    const before = await switches();
    await Bun.sleep(2000);
    expect(await switches()).toBe(before);
  });
});
