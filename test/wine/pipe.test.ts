/** The agent on a named pipe, with hosts that come and go. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { describeWith } from "../lab/apt.ts";
import { waitFor } from "../lab/process.ts";
import { openWine, type WineLab, type WineProcess, wineAvailability } from "./wine.ts";

setDefaultTimeout(120_000);

const PIPE = "\\\\.\\pipe\\inguest-test";
const PING = '{"execute": "guest-ping"}';

describeWith("named pipe", await wineAvailability(), () => {
  let lab: WineLab;
  let agent: WineProcess;
  let host: string;

  beforeAll(async () => {
    lab = await openWine();
    host = await lab.compile("pipe.c", "pipe.exe");
    agent = lab.start([lab.executable, "-m", "unix-listen", "-p", PIPE, "-t", "C:\\state", "-v"]);
    await waitFor(async () => ((await agent.log()).includes("started") ? true : undefined), 30_000, agent.log);
  });

  afterAll(() => lab?.close());

  test("one host after the other", async () => {
    for (let round = 0; round < 3; round++) {
      const { stdout, exitCode } = await lab.run([
        host,
        PIPE,
        PING,
        '{"execute": "guest-sync", "arguments": {"id": 7}}',
      ]);
      expect(stdout.replaceAll("\r", "")).toBe('{"return": {}}\n{"return": 7}\n');
      expect(exitCode).toBe(0);
    }
  });

  test("a host that goes in the middle of a request leaves nothing behind", async () => {
    expect((await lab.run([host, PIPE, `${PING}{"execute": "gue`])).stdout).toContain('{"return": {}}');
    expect((await lab.run([host, PIPE, PING])).stdout.replaceAll("\r", "")).toBe('{"return": {}}\n');
  });

  test("sockets are not for Windows", async () => {
    const { exitCode, stderr } = await lab.run([lab.executable, "-m", "vsock-listen", "-p", "3:4", "-t", "C:\\state2"]);
    expect(stderr).toContain("not supported on Windows");
    expect(exitCode).toBe(1);
  });
});
