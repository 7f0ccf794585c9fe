/** `inguest ctl` against inguest, against the real qemu-ga, and against what is neither. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inguestCommand, type RunningAgent, startAgent } from "../lab/agent.ts";
import { obtainPeer } from "../lab/peer.ts";
import { type Finished, mustRun, run } from "../lab/process.ts";

const peer = await obtainPeer();
const folder = mkdtempSync(join(tmpdir(), "inguest-ctl-"));
afterAll(() => rmSync(folder, { recursive: true }));

const ctl = (socket: string, ...args: string[]): Promise<Finished> =>
  run([...inguestCommand, "ctl", "--socket", socket, ...args], { timeoutMs: 20_000 });

const failure = (exitCode: number, line: string): Finished => ({
  exitCode,
  stdout: "",
  stderr: `inguest ctl: ${line}\n`,
});

describe.each([
  ["inguest", inguestCommand],
  ["qemu-ga", peer.command],
] as const)("against %s", (name, command) => {
  const socket = join(folder, `${name}.sock`);
  let agent: RunningAgent;

  beforeAll(async () => {
    agent = await startAgent(command, { socketPath: socket, stateDir: join(folder, name) });
  });
  afterAll(() => agent.stop());

  const printed = async (...args: string[]): Promise<unknown> => {
    const { exitCode, stdout, stderr } = await ctl(socket, ...args);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toMatch(/^[^\n]+\n$/);
    return JSON.parse(stdout);
  };

  test("JSON when it is no terminal", async () => {
    expect(await printed("guest-ping")).toEqual({});
    expect(await printed("guest-info")).toContainKeys(["version", "supported_commands"]);
  });

  test("integers are exact both ways", async () => {
    const { stdout } = await ctl(socket, "guest-sync", "id=9223372036854775807");
    expect(stdout).toBe("9223372036854775807\n");
  });

  test("arguments get the types that the command wants", async () => {
    const path = join(folder, "1234");
    const handle = await printed("guest-file-open", `path=${path}`, "mode=w+");
    expect(await printed("guest-file-write", `handle=${handle}`, "buf-b64=12345678")).toEqual({ count: 6, eof: false });
    expect(await printed("guest-file-seek", `handle=${handle}`, "offset=0", "whence=set")).toContainKey("position");
    expect(await printed("guest-file-read", `handle=${handle}`, "count=3")).toMatchObject({ "buf-b64": "1234" });
    expect(await printed("guest-file-close", `handle=${handle}`)).toEqual({});
    const words = ["path=echo", "arg=1", "arg=true", "arg=-n", "capture-output=separated"];
    const started = await printed("guest-exec", ...words);
    const pid = /\d+/.exec(JSON.stringify(started))?.[0];
    await Bun.sleep(300);
    expect(await printed("guest-exec-status", `pid=${pid}`)).toMatchObject({ "out-data": btoa("1 true -n\n") });
  });

  test("a large argument and a large result", async () => {
    const path = join(folder, `${name}.large`);
    const handle = await printed("guest-file-open", `path=${path}`, "mode=w+");
    const text = "x".repeat(90_000);
    await printed("guest-file-write", `handle=${handle}`, `buf-b64=${btoa(text)}`);
    await printed("guest-file-seek", `handle=${handle}`, "offset=3000000", "whence=set");
    await printed("guest-file-write", `handle=${handle}`, "buf-b64=AAAA");
    await printed("guest-file-seek", `handle=${handle}`, "offset=0", "whence=set");
    expect(await printed("guest-file-read", `handle=${handle}`, "count=4000000")).toMatchObject({ count: 3_000_003 });
    await printed("guest-file-close", `handle=${handle}`);
  });

  test("an error is one line and exit code 1", async () => {
    expect(await ctl(socket, "guest-nope")).toEqual(
      failure(1, "guest-nope: CommandNotFound: The command guest-nope has not been found"),
    );
    expect(await ctl(socket, "guest-file-close", "handle=7")).toEqual(
      failure(1, "guest-file-close: GenericError: handle '7' has not been found"),
    );
  });

  test("a command without an answer: its error is one all the same, and the agent stays", async () => {
    for (let round = 0; round < 5; round++) {
      expect(await ctl(socket, "guest-shutdown", "sideways=true")).toEqual(
        failure(1, "guest-shutdown: GenericError: Parameter 'sideways' is unexpected"),
      );
    }
    expect(await printed("guest-ping")).toEqual({});
  });

  test("a table on a terminal", async () => {
    const words = [...inguestCommand, "ctl", "--socket", socket, "guest-info"];
    const onTerminal = (more: string): Promise<string> =>
      mustRun(["script", "-qec", `${words.join(" ")} ${more}`, "/dev/null"]);
    expect(await onTerminal("")).toMatch(/^version +[\d.]+\r\n(.*\r\n)* +true +guest-ping +true\r\n/);
    expect(JSON.parse(await onTerminal("--json"))).toContainKey("version");
  });
});

describe("against what does not answer", () => {
  const socket = join(folder, "other.sock");
  let server: Server | undefined;
  const hosts = new Set<Socket>();

  /** Listens, and does something with what each host sends. */
  const listen = (received: (host: Socket, text: string) => void): Promise<void> =>
    new Promise((ready) => {
      server = createServer((host) => {
        hosts.add(host);
        host.on("error", () => {});
        host.on("data", (chunk) => received(host, chunk.toString("latin1")));
      }).listen(socket, ready);
    });

  afterEach(async () => {
    for (const host of hosts) host.destroy();
    hosts.clear();
    await new Promise<unknown>((ended) => (server === undefined ? ended(undefined) : server.close(ended)));
    server = undefined;
  });

  const isSync = (text: string): boolean => text.includes("guest-sync-delimited");
  const answerSync = (host: Socket, text: string): void => {
    const id = /"id": (\d+)/.exec(text)?.[1];
    host.write(Buffer.from(`\xff{"return": ${id}}\n`, "latin1"));
  };

  /** An agent that answers a sync, and everything else with what it was given. */
  const answering = (reply: string) => (host: Socket, text: string) => {
    if (isSync(text)) answerSync(host, text);
    else host.write(reply);
  };

  test("no socket", async () => {
    expect(await ctl(join(folder, "none"), "guest-ping")).toEqual(
      failure(3, `${join(folder, "none")}: there is no such socket`),
    );
  });

  test("silence", async () => {
    await listen(() => {});
    const begun = performance.now();
    const { exitCode, stderr } = await ctl(socket, "--timeout=0.5", "guest-ping");
    expect(exitCode).toBe(3);
    expect(stderr).toContain(`${socket}: no answer within 0.5 s`);
    expect(performance.now() - begun).toBeLessThan(5000);
  });

  test("a sync that gets lost is sent again", async () => {
    let seen = 0;
    await listen((host, text) => {
      if (!isSync(text)) host.write('{"return": {}}\n');
      else if (++seen > 1) answerSync(host, text);
    });
    const { exitCode, stdout } = await ctl(socket, "guest-ping");
    expect({ exitCode, stdout, seen }).toEqual({ exitCode: 0, stdout: "{}\n", seen: 2 });
  });

  test("leftovers before the answer are passed over", async () => {
    await listen((host, text) => {
      if (isSync(text)) host.write('{"return": 1}\n{"retu');
      answering('{"return": 2}\n')(host, text);
    });
    const { stdout } = await ctl(socket, "guest-ping");
    expect(stdout).toBe("2\n");
  });

  test("a connection that ends", async () => {
    await listen((host) => host.end());
    const { exitCode, stderr } = await ctl(socket, "guest-ping");
    expect({ exitCode, stderr }).toEqual({
      exitCode: 3,
      stderr: `inguest ctl: ${socket}: the connection was closed\n`,
    });
  });

  test.each(["nonsense\n", '{"event": "x"}\n', "[]\n", "\n"])("%j for an answer", async (reply) => {
    await listen(answering(reply));
    const { exitCode, stderr } = await ctl(socket, "guest-ping");
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/^inguest ctl: \S+: this is no answer of a guest agent: "[^\n]*"\n$/);
  });

  test("an error's text stays on its line", async () => {
    await listen(answering('{"error": {"class": "GenericError", "desc": "a\\nb\\u001b[2J\\n"}}\n'));
    const result = await ctl(socket, "guest-ping");
    expect(result).toEqual(failure(1, "guest-ping: GenericError: a\\x0ab\\x1b[2J"));
  });

  test("a command without an answer succeeds when the next one is answered", async () => {
    let received = "";
    await listen((host, text) => {
      received += text;
      const [, afterwards] = received.split("guest-suspend-ram");
      // As qemu-ga does when nothing was half sent.
      if (afterwards?.includes("\xff")) host.write('{"error": {"class": "GenericError", "desc": "stray"}}\n');
      if (isSync(text)) answerSync(host, afterwards ?? text);
    });
    expect(await ctl(socket, "guest-suspend-ram")).toEqual({ exitCode: 0, stdout: "", stderr: "" });
  });

  test("a command without an answer succeeds when the guest goes down", async () => {
    await listen((host, text) => {
      if (isSync(text) && !text.includes("guest-shutdown")) answerSync(host, text);
      else host.end();
    });
    const result = await ctl(socket, "guest-shutdown");
    expect(result).toEqual({ exitCode: 0, stdout: "", stderr: "" });
  });
});

describe("a wrong command line", () => {
  test.each<[args: string[], line: string]>([
    [[], "a verb or a command is needed"],
    [["guest-ping"], "one of --socket, --libvirt, --vsock, --serial is needed"],
    [["--socket", "x", "--libvirt", "y", "ping"], "only one of --socket, --libvirt, --vsock, --serial can be given"],
    [["--socket", "x"], "a verb or a command is needed"],
    [["--socket", "x", "ping", "now"], "ping takes no operand"],
    [["--socket", "x", "pull"], "pull takes REMOTE [LOCAL]"],
    [["--socket", "x", "freeze", "--runs"], "unrecognized option '--runs'"],
    [["--vsock", "3", "ping"], "option --vsock: '3' is not CID:PORT"],
    [["--vsock", "3:99999999999", "ping"], "option --vsock: '3:99999999999' is not CID:PORT"],
    [["--socket", "x", "--timeout=soon", "guest-ping"], "option --timeout: 'soon' is not a number of seconds"],
    [["guest-ping", "--timeout=soon", "-s", "x"], "option --timeout: 'soon' is not a number of seconds"],
    [["--nope"], "unrecognized option '--nope'"],
    [["-s"], "option requires an argument -- 's'"],
  ])("%j", async (args, line) => {
    expect(await run([...inguestCommand, "ctl", ...args])).toEqual(
      failure(2, `${line}; inguest ctl --help tells more`),
    );
  });

  test("words that are no arguments", async () => {
    const socket = join(folder, "words.sock");
    const agent = await startAgent(inguestCommand, { socketPath: socket, stateDir: join(folder, "words") });
    const result = await ctl(socket, "guest-ping", "foo");
    await agent.stop();
    expect(result).toEqual(failure(2, "'foo' is not KEY=VALUE; inguest ctl --help tells more"));
  });

  test("--help of a verb", async () => {
    const { exitCode, stdout } = await run([...inguestCommand, "ctl", "pull", "--help"]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain("pull REMOTE [LOCAL]");
    expect(stdout).toContain("--no-verify");
  });

  test("--help", async () => {
    const { exitCode, stdout, stderr } = await run([...inguestCommand, "ctl", "--help"]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    for (const option of ["--socket", "--timeout", "--json"]) expect(stdout).toContain(option);
  });
});
