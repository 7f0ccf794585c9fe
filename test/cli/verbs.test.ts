/** The verbs of `inguest ctl` other than pull, push and freeze, against inguest and the real qemu-ga. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { dieWithParent, mustRun, run, waitFor } from "../lab/process.ts";
import { type AgentAtSocket, agentKinds, ctlCommand, newFolder, startAt } from "./agents.ts";

const folder = newFolder();
afterAll(() => rmSync(folder, { recursive: true }));

const kinds = await agentKinds();

/** Folders that exec has made and not removed. */
const leftovers = (): string[] =>
  ["/dev/shm", "/run", "/tmp", "/var/tmp"].flatMap((place) =>
    readdirSync(place).filter((name) => /^inguest-[0-9a-f]{8}-[0-9a-f]{4}-/.test(name)),
  );

describe.each(kinds.map((kind) => [kind.name, kind] as const))("against %s", (_name, kind) => {
  let at: AgentAtSocket;

  beforeAll(async () => {
    at = await startAt(folder, kind);
  });
  afterAll(() => at.agent.stop());

  const words = (...args: string[]): string[] => ctlCommand("--socket", at.socket, ...args);

  const json = async (...args: string[]): Promise<Record<string, unknown>> => {
    const { exitCode, stdout, stderr } = await at.ctl(...args);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    return JSON.parse(stdout);
  };

  const onTerminal = async (...args: string[]): Promise<string> =>
    (await mustRun(["script", "-qec", words(...args).join(" "), "/dev/null"])).replaceAll("\r", "");

  describe("exec", () => {
    test.each<[script: string, exitCode: number]>([
      ["exit 0", 0],
      ["exit 7", 7],
      ["exit 125", 125],
      ["kill -9 $$", 137],
      ["kill -15 $$", 143],
    ])("%s ends with %d", async (script, exitCode) => {
      expect(await at.ctl("exec", "--", "sh", "-c", script)).toEqual({ exitCode, stdout: "", stderr: "" });
      expect((await at.ctl("exec", "--no-stream", "--", "sh", "-c", script)).exitCode).toBe(exitCode);
    });

    test("both streams, as bytes; options of the program are its own", async () => {
      const script = 'printf "a\\377\\0b"; echo err >&2; echo "$@"';
      for (const option of [[], ["--no-stream"]]) {
        const child = Bun.spawn(words("exec", ...option, "sh", "-c", script, "sh", "-x", "--json", ""), {
          stdout: "pipe",
          stderr: "pipe",
        });
        const output = Buffer.from(await new Response(child.stdout).arrayBuffer());
        expect(output.toString("latin1")).toBe("a\xff\0b-x --json \n");
        expect(await new Response(child.stderr).text()).toBe("err\n");
      }
    });

    test("output comes while it runs", async () => {
      const child = Bun.spawn([...dieWithParent, ...words("exec", "sh", "-c", "echo first; sleep 3; echo second")], {
        stdout: "pipe",
      });
      const begun = performance.now();
      const { value } = await child.stdout.getReader().read();
      expect(Buffer.from(value ?? []).toString()).toBe("first\n");
      expect(performance.now() - begun).toBeLessThan(2000);
      child.kill("SIGTERM");
      expect(await child.exited).toBe(143);
      expect(leftovers()).toEqual([]);
    });

    test("more output than an agent keeps", async () => {
      const count = 20_000_000;
      const { stdout } = await at.ctl("exec", "head", "-c", String(count), "/dev/zero");
      expect(stdout.length).toBe(count);
      const whole = await at.ctl("exec", "--no-stream", "head", "-c", String(count), "/dev/zero");
      expect(whole.stdout.length).toBeGreaterThanOrEqual(16 << 20);
      expect(whole.stdout.length).toBeLessThan(count);
      expect(whole.stderr).toContain("only the beginning");
    });

    test("standard input", async () => {
      const echo = ["sh", "-c", 'printf "abc\\377" | "$@" | od -An -c', "sh", ...words("exec", "-i", "cat")];
      expect((await mustRun(echo)).trim().split(/ +/)).toEqual(["a", "b", "c", "377"]);
    });

    test("signals reach the program", async () => {
      const script = 'trap "echo caught; exit 9" INT TERM HUP; echo ready; while :; do sleep 0.05; done';
      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
        const child = Bun.spawn([...dieWithParent, ...words("exec", "sh", "-c", script)], { stdout: "pipe" });
        const reader = child.stdout.getReader();
        expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("ready\n");
        child.kill(signal);
        expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("caught\n");
        expect(await child.exited).toBe(9);
      }
      expect(leftovers()).toEqual([]);
    });

    test("a second signal kills it", async () => {
      const script = 'trap "" INT; echo ready; sleep 60';
      const child = Bun.spawn([...dieWithParent, ...words("exec", "sh", "-c", script)], { stdout: "pipe" });
      await child.stdout.getReader().read();
      child.kill("SIGINT");
      await Bun.sleep(200);
      child.kill("SIGINT");
      expect(await child.exited).toBe(137);
    });

    test("a program that is not there", async () => {
      const streamed = await at.ctl("exec", "inguest-none");
      expect(streamed.exitCode).toBe(127);
      expect(streamed.stderr).toContain("inguest-none");
      const whole = await at.ctl("exec", "--no-stream", "inguest-none");
      expect(whole.exitCode).toBe(255);
      expect(whole.stderr).toContain("No such file or directory");
      expect((await at.ctl("exec")).exitCode).toBe(2);
    });
  });

  test("info", async () => {
    const facts = await json("info");
    expect(facts).toMatchObject({ hostname: { "host-name": hostname() }, freeze: "thawed" });
    const shown = await onTerminal("info");
    expect(shown).toMatch(new RegExp(`^host name +${hostname()}\\nsystem +\\S`));
    expect(shown).toMatch(/\nagent +10\.\S+, \d+ of \d+ commands enabled\n/);
  });

  test.each([
    ["df", /^device +type +size +used +free +full +mounted on\n\S+ +\w+ +[\d.]+ [KMGT]?i?B/],
    ["ip", /^interface +address +mac +received +sent\nlo +127\.0\.0\.1\/8 +00:00:00:00:00:00 .*\n/],
    ["cpus", /^cpu +online +can go offline( +user +system +idle)?\n +0 +yes/],
    ["mem", /^total +[\d.]+ GiB\nused +[\d.]+ [GM]iB \(\d+%\)\n/],
    ["os", /^host name +\S+\nsystem +\S.*\nkernel +\S+\nmachine +\S+\ntime zone +\S/],
    ["users", /^(none|user +.*since)\n/],
    ["ls-commands", /^command +enabled +what it does\nguest-exec +yes +Starts a program/],
    ["ping", /^answered in [\d.]+ ms\n$/],
  ])("%s as a table", async (verb, pattern) => {
    expect(await onTerminal(verb)).toMatch(pattern);
    const { exitCode, stdout, stderr } = await at.ctl(verb);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toMatch(/^[^\n]+\n$/);
    JSON.parse(stdout);
  });

  test("raw", async () => {
    expect(await at.ctl("raw", '{"execute": "guest-sync", "arguments": {"id": 9223372036854775807}}')).toEqual({
      exitCode: 0,
      stdout: '{"return": 9223372036854775807}\n',
      stderr: "",
    });
    const { exitCode, stdout } = await at.ctl("raw", '{"execute": "guest-nope"}', '{"execute": "guest-ping"}');
    expect(exitCode).toBe(1);
    expect(stdout.split("\n")).toEqual([
      '{"error": {"class": "CommandNotFound", "desc": "The command guest-nope has not been found"}}',
      '{"return": {}}',
      "",
    ]);
    const input = 'printf \'{"execute": "guest-ping"}\\n\\n{"execute": "guest-ping"}\\n\' | "$@"';
    expect(await mustRun(["sh", "-c", input, "sh", ...words("raw")])).toBe('{"return": {}}\n{"return": {}}\n');
  });

  test("over a serial line", async () => {
    const line = join(folder, `${kind.name}.pty`);
    const socat = Bun.spawn([...dieWithParent, "socat", `pty,raw,echo=0,link=${line}`, `unix-connect:${at.socket}`]);
    try {
      await waitFor(
        async () => (await run(["test", "-e", line])).exitCode === 0 || undefined,
        5000,
        () => "socat made no line",
      );
      const overSerial = (...args: string[]) => mustRun(ctlCommand("--serial", line, ...args), { timeoutMs: 60_000 });
      expect(JSON.parse(await overSerial("os"))).toMatchObject({ hostname: { "host-name": hostname() } });
      const large = join(folder, "serial.large");
      await mustRun(["sh", "-c", `head -c 700000 /dev/urandom >'${large}'`]);
      expect(JSON.parse(await overSerial("pull", large, `${large}.copy`))).toMatchObject({ proof: "checksum" });
      expect(JSON.parse(await overSerial("push", large, `${large}.back`))).toMatchObject({ proof: "checksum" });
      expect((await run(["cmp", large, `${large}.back`])).exitCode).toBe(0);
    } finally {
      socat.kill();
      await socat.exited;
    }
  });
});

test("a serial line that is not there, and vsock to nobody", async () => {
  const serial = await run(ctlCommand("--serial", join(folder, "none"), "ping"));
  expect(serial).toEqual({
    exitCode: 3,
    stdout: "",
    stderr: `inguest ctl: open ${join(folder, "none")}: No such file or directory\n`,
  });
  const vsock = await run(ctlCommand("--vsock", "4294967294:7", "ping"));
  expect(vsock.exitCode).toBe(3);
  expect(vsock.stderr).toMatch(/^inguest ctl: connect 4294967294:7: [^\n]+\n$/);
});
