/** The agent as a service under Wine's service manager. */
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { openWire, type Wire } from "../conformance/wire.ts";
import { describeWith } from "../lab/apt.ts";
import { waitFor } from "../lab/process.ts";
import { openWine, type WineLab, wineAvailability } from "./wine.ts";

setDefaultTimeout(300_000);

const PING = '{"execute": "guest-ping"}\n';

describeWith("service", await wineAvailability(), () => {
  let lab: WineLab;
  let socketPath: string;

  beforeAll(async () => {
    lab = await openWine();
    await lab.settled();
    socketPath = await lab.openLine(2);
  });

  afterAll(() => lab?.close());

  const service = (...words: string[]) => lab.run([lab.executable, ...words]);
  const state = async (): Promise<string> =>
    /STATE\s*:\s*(\d+)/.exec((await lab.run(["sc", "query", "inguest"])).stdout)?.[1] ?? "none";

  test("an unknown word is refused with those that are known", async () => {
    const { exitCode, stderr } = await service("-s", "instal");
    expect(stderr).toContain("install, uninstall, vss-install, vss-uninstall");
    expect(exitCode).toBe(1);
  });

  test("-d outside of a service says so", async () => {
    const { exitCode, stderr } = await service("-d", "-m", "isa-serial", "-p", "COM2");
    expect(stderr).toContain("StartServiceCtrlDispatcherW");
    expect(exitCode).toBe(1);
  });

  describe("with a provider for snapshots", () => {
    const path = () => join(lab.executable, "../qga-vss.dll");
    afterEach(() => rm(path(), { force: true }));

    test("that cannot be registered nothing is left installed", async () => {
      await lab.compile("provider.c", "qga-vss.dll", ["-shared"]);
      const { exitCode, stderr } = await service("-s", "install");
      expect(stderr).toMatch(/COMRegister of .*qga-vss.dll: .*0x80070005/);
      expect(exitCode).toBe(1);
      expect(await state()).toBe("none");
    });

    test("that is no DLL the error is one line", async () => {
      await Bun.write(path(), "nothing");
      const { exitCode, stderr } = await service("-s", "vss-install");
      expect(stderr).toMatch(/^inguest: .*qga-vss.dll cannot be loaded: [^\n]*\n$/);
      expect(exitCode).toBe(1);
    });
  });

  test("install", async () => {
    const { exitCode, stdout, stderr } = await service(
      "-s",
      "install",
      "-m",
      "isa-serial",
      "-p",
      "COM2",
      "-l",
      "C:\\a log.txt",
      "-v",
    );
    expect(stderr).toBe("");
    expect(stdout).toContain('\\inguest.exe" -d --method=isa-serial --path=COM2 "--logfile=C:\\a log.txt" --verbose');
    expect(exitCode).toBe(0);
    const key = "HKLM\\SYSTEM\\CurrentControlSet\\Services\\EventLog\\Application\\inguest";
    const registered = await lab.run(["reg", "query", key]);
    expect(registered.stdout).toMatch(/EventMessageFile +REG_EXPAND_SZ +%SystemRoot%/);
    const again = await service("-s", "install");
    expect(again.stderr).toContain("CreateServiceW inguest");
    expect(again.exitCode).toBe(1);
  });

  test("start, answer, stop, twice", async () => {
    let wire: Wire | undefined;
    for (let round = 0; round < 2; round++) {
      const started = await lab.run(["net", "start", "inguest"]);
      expect(started.stdout).toContain("started successfully");
      wire ??= await openWire(socketPath);
      const { reply } = await wire.exchange([PING]);
      expect(reply).toBe('{"return": {}}\n');
      const stopped = await lab.run(["net", "stop", "inguest"]);
      expect(stopped.stdout).toContain("stopped successfully");
    }
    wire?.close();
    const stops = async () =>
      (await Bun.file(`${lab.driveC}/a log.txt`).text()).match(/received the service's stop, quitting/g);
    expect(
      await waitFor(
        async () => ((await stops())?.length === 2 ? true : undefined),
        5_000,
        async () => String(await stops()),
      ),
    ).toBe(true);
  });

  test("uninstall", async () => {
    const { exitCode, stdout } = await service("-s", "uninstall");
    expect(stdout).toContain("was removed");
    expect(exitCode).toBe(0);
    const again = await service("-s", "uninstall");
    expect(again.stderr).toContain("OpenServiceW inguest");
    expect(again.exitCode).toBe(1);
    expect(await waitFor(async () => ((await state()) === "none" ? true : undefined), 5_000, state)).toBe(true);
  });
});
