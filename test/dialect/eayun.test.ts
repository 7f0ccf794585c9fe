/** EayunStack: every exchange of the protocol, with results that are what this machine itself says. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { hostname, release, tmpdir } from "node:os";
import { join } from "node:path";
import { inguestCommand, type RunningAgent, startAgent } from "../lab/agent.ts";
import { mustRun } from "../lab/process.ts";
import { isObject, type Json } from "../lab/qga-client.ts";
import { connectLines, type LineClient } from "./line-client.ts";

let folder: string;
let agent: RunningAgent;
let host: LineClient;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "inguest-eayun-"));
  const socketPath = join(folder, "socket");
  const enabled = "--enable-rpcs=execute_command,execute_script";
  agent = await startAgent(inguestCommand, {
    socketPath,
    stateDir: join(folder, "state"),
    args: ["--dialect", "eayun", "--command-timeout", "1", "--command-output", "1", enabled],
  });
  host = await connectLines(socketPath);
});

afterAll(async () => {
  host?.close();
  await agent?.stop();
  await rm(folder, { recursive: true, force: true });
});

const information = async (name: string): Promise<Json> => {
  const { operation, result } = await host.ask({ operation: "get_infomation", name });
  expect(operation).toBe("get_infomation");
  if (result === undefined) throw new Error(`${name} has no result`);
  return result;
};

const errorClass = async (request: Parameters<LineClient["ask"]>[0]): Promise<Json | undefined> => {
  const { error } = await host.ask(request);
  if (!isObject(error)) throw new Error("no error");
  expect(Object.keys(error).sort()).toEqual(["class", "desc"]);
  expect(typeof error.desc).toBe("string");
  return error.class;
};

test("echo", async () => {
  const request = { operation: "echo", cmd: "dir", more: [1, { a: null }], large: 3 };
  expect(await host.ask(request)).toEqual(request);
});

describe("execute_command", () => {
  test("gives what is printed, without the last newline", async () => {
    const counted = await host.ask({ operation: "execute_command", cmd: "seq 115 | wc -l" });
    expect(counted).toEqual({ operation: "execute_command", result: "115" });
    expect(await host.ask({ operation: "execute_command", cmd: "echo a; echo; echo e >&2; exit 3" })).toEqual({
      operation: "execute_command",
      result: "a\n",
    });
  });

  test("any bytes give valid JSON", async () => {
    const { result } = await host.ask({ operation: "execute_command", cmd: "printf '\\377\\001\\342\\202\\254'" });
    expect(result).toBe("\ufffd\u0001€");
  });

  test("is ended after its time, and the next one is answered", async () => {
    expect(await errorClass({ operation: "execute_command", cmd: "sleep 100" })).toBe("TimedOut");
    const { result } = await host.ask({ operation: "execute_command", cmd: "echo on" });
    expect(result).toBe("on");
  });

  test("more output than is taken is dropped", async () => {
    const { result } = await host.ask({ operation: "execute_command", cmd: "head -c 3000000 /dev/zero | tr '\\0' x" });
    expect(result).toBe("x".repeat(1024 * 1024));
  });
});

describe("execute_script", () => {
  test.each([
    ["py", "print('hello')\n"],
    ["sh", "echo hello\n"],
  ])("%s", async (type, script) => {
    const path = join(folder, `hello.${type}`);
    await Bun.write(path, script);
    expect(await host.ask({ operation: "execute_script", path, type })).toEqual({
      operation: "execute_script",
      result: "hello",
    });
  });

  test("what cannot be run", async () => {
    expect(await errorClass({ operation: "execute_script", path: "/nowhere", type: "sh" })).toBe("InvalidArgument");
    expect(await errorClass({ operation: "execute_script", path: "/bin/sh", type: "rb" })).toBe("InvalidArgument");
  });
});

describe("get_infomation", () => {
  test("os_info", async () => {
    const osRelease = await Bun.file("/etc/os-release").text();
    const name = /^NAME="?([^"\n]*)/m.exec(osRelease)?.[1];
    const codename = /^VERSION_CODENAME="?([^"\n]*)/m.exec(osRelease)?.[1];
    expect(await information("os_info")).toEqual({
      kernel: release(),
      type: "linux",
      version: name ?? "",
      distribution: expect.stringMatching(/^\d/),
      arch: (await mustRun(["uname", "-m"])).trim(),
      codename: codename ?? "",
    });
  });

  test("machine_name and os_version", async () => {
    expect(await information("machine_name")).toBe(hostname().split(".")[0] ?? "");
    expect(await information("os_version")).toBe(release());
  });

  test("all_network_interfaces is what ip says", async () => {
    const theirs: Json = JSON.parse(await mustRun(["ip", "-j", "addr"]));
    const ours = await information("all_network_interfaces");
    if (!Array.isArray(theirs) || !Array.isArray(ours)) throw new Error("not lists");
    const expected = theirs.filter(isObject).map(({ ifname, flags, address, link_type: type, addr_info: info }) => {
      const addresses = (Array.isArray(info) ? info : []).filter(isObject);
      const of = (family: string): string[] =>
        addresses.filter((it) => it.family === family).map((it) => `${it.local}/${it.prefixlen}`);
      const loopback = type === "loopback";
      return {
        name: ifname,
        attr: Array.isArray(flags) ? flags.join(",") : "",
        ...(loopback ? {} : { mac: address }),
        ...(of("inet6").length > 0 ? { inet6: of("inet6")[0] } : {}),
        ...(of("inet").length > 0 && !loopback ? { inet4: of("inet") } : {}),
      };
    });
    expect(ours).toEqual(expected as Json[]);
    expect(ours.length).toBeGreaterThan(0);
  });

  test("available_ram and memory_stats are what /proc/meminfo says", async () => {
    const text = await Bun.file("/proc/meminfo").text();
    const field = (name: string): number => Number(new RegExp(`^${name}: +(\\d+)`, "m").exec(text)?.[1]);
    const free = field("MemFree") + field("Buffers") + field("Cached");
    const near = (value: Json | undefined, expected: number): void =>
      expect(Math.abs(Number(value) - expected)).toBeLessThan(0.05 * field("MemTotal"));
    const ram = await information("available_ram");
    expect(ram).toMatch(/^\d+$/);
    near(Number(ram) * 1024, free);
    const stats = await information("memory_stats");
    if (!isObject(stats)) throw new Error("no object");
    expect(Object.keys(stats).sort()).toEqual(
      "majflt mem_buffers mem_cached mem_free mem_total mem_unused pageflt swap_in swap_out swap_total swap_usage".split(
        " ",
      ),
    );
    expect(stats.mem_total).toBe(field("MemTotal"));
    expect(stats.swap_total).toBe(field("SwapTotal"));
    near(stats.mem_free, free);
    near(stats.mem_unused, field("MemFree"));
    expect(stats.mem_free).toBe(Number(stats.mem_unused) + Number(stats.mem_buffers) + Number(stats.mem_cached));
  });

  test("users and active_user are what who says", async () => {
    const users = (await mustRun(["who"])).split("\n").flatMap((line) => line.split(" ", 1)[0] || []);
    expect(await information("users")).toBe([...new Set(users.sort())].join(" "));
    expect(await information("active_user")).toBe(users.sort()[0] ?? "None");
  });

  test("disks_usage is what df says", async () => {
    const ours = await information("disks_usage");
    if (!Array.isArray(ours)) throw new Error("no list");
    const root = ours.filter(isObject).find(({ path }) => path === "/");
    const [size, used, type] = (await mustRun(["df", "-B1", "--output=size,used,fstype", "/"]))
      .trim()
      .split("\n")
      .at(-1)!
      .trim()
      .split(/ +/);
    expect(root).toEqual({ path: "/", total: Number(size), used: expect.any(Number), fs: type ?? "" });
    expect(Math.abs(Number(root?.used) - Number(used))).toBeLessThan(100 * 1024 * 1024);
    expect(ours.filter(isObject).map(({ fs }) => fs)).not.toContain("proc");
  });
});

describe("bad input", () => {
  test.each<[name: string, input: string, expected: string]>([
    ["no JSON", "hello\n", "ParseError"],
    ["no object", "[1]\n", "ParseError"],
    ["half a line", '{"operation": "ec\n', "ParseError"],
    ["no operation", '{"a": 1}\n', "InvalidArgument"],
    ["an operation that is no text", '{"operation": 7}\n', "InvalidArgument"],
    ["an unknown operation", '{"operation": "explode"}\n', "UnknownOperation"],
    ["an operation of JavaScript", '{"operation": "constructor"}\n', "UnknownOperation"],
    ["an unknown name", '{"operation": "get_infomation", "name": "weather"}\n', "UnknownName"],
    ["a name of JavaScript", '{"operation": "get_infomation", "name": "toString"}\n', "UnknownName"],
    ["no name", '{"operation": "get_infomation"}\n', "InvalidArgument"],
    ["no command", '{"operation": "execute_command"}\n', "InvalidArgument"],
    ["a command that is no text", '{"operation": "execute_command", "cmd": ["ls"]}\n', "InvalidArgument"],
    ["a command with NUL", '{"operation": "execute_command", "cmd": "a\\u0000b"}\n', "InvalidArgument"],
    ["10 MB in a line", `{"operation": "${"x".repeat(10_000_000)}"}\n`, "ParseError"],
  ])("%s", async (_name, input, expected) => {
    expect(await errorClass(input)).toBe(expected);
    expect(await host.ask({ operation: "echo", still: "there" })).toEqual({ operation: "echo", still: "there" });
  });

  test("broken UTF-8 and control characters are sent back as text", async () => {
    const from = host.lines.length;
    host.send(Buffer.from('{"operation": "echo", "cmd": "\xff\\u0000\xc3\xa4"}\n', "latin1"));
    expect(await host.next(() => true, from)).toEqual({ operation: "echo", cmd: "\ufffd\u0000ä" });
  });

  test("a request without a newline is answered when it is complete", async () => {
    expect(await host.ask('{"operation": "echo", "cmd": "dir"}')).toEqual({ operation: "echo", cmd: "dir" });
  });

  test("requests that come while a command runs are answered after it, in order", async () => {
    const from = host.lines.length;
    host.send('{"operation": "execute_command", "cmd": "sleep 0.2; echo 1"}\n{"operation": "echo", "n": 2}\n');
    await host.next(({ n }) => n === 2, from);
    expect(host.lines.slice(from).map(({ result, n }) => result ?? n)).toEqual(["1", 2]);
  });
});
