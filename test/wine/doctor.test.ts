/** `inguest doctor` under Wine: services, ports and settings that are right, and that are not. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { describeWith } from "../lab/apt.ts";
import { waitFor } from "../lab/process.ts";
import { openWine, type WineLab, wineAvailability } from "./wine.ts";

setDefaultTimeout(300_000);

const findingsSchema = v.array(
  v.strictObject({
    check: v.string(),
    verdict: v.picklist(["ok", "warn", "fail"]),
    text: v.string(),
    fix: v.optional(v.string()),
  }),
);
/** The programs' directory as Windows sees it. */
const PROGRAMS = "C:\\inguest";
const IDLE = `${PROGRAMS}\\idle.exe`;
const PROVIDER = "HKLM\\SYSTEM\\CurrentControlSet\\Services\\VSS\\Providers\\{3629D4ED-EE09-4E0E-9A5C-6D8BA2872AEF}";

describeWith("doctor", await wineAvailability(), () => {
  let lab: WineLab;

  beforeAll(async () => {
    lab = await openWine();
    await lab.settled();
    await lab.compile("service.c", "idle.exe");
    await lab.openLine(2);
  });

  afterAll(() => lab?.close());

  /** Runs a program that must succeed. */
  const must = async (...argv: string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await lab.run(argv);
    if (exitCode !== 0) throw new Error(`${argv.join(" ")}: ${exitCode} ${stdout} ${stderr}`);
    return stdout;
  };
  const addService = (name: string, program: string, start: "auto" | "demand" | "disabled") =>
    must("sc", "create", name, "binPath=", program, "start=", start);
  /** One that has just been stopped is held a moment longer. */
  const removeService = (name: string) =>
    waitFor(
      async () => ((await lab.run(["sc", "delete", name])).exitCode === 0 ? true : undefined),
      10_000,
      () => `${name} stays`,
    );
  /** Wine's sc changes nothing. */
  const replaceService = async (name: string, program: string, start: "auto" | "demand" | "disabled") => {
    await removeService(name);
    await addService(name, program, start);
  };
  const stopService = (name: string) => must("net", "stop", name);

  const examine = async (...words: string[]) => {
    const { stdout, stderr, exitCode } = await lab.run([lab.executable, "doctor", "--json", ...words]);
    expect(stderr).toBe("");
    const findings = v.parse(findingsSchema, JSON.parse(stdout));
    expect(exitCode).toBe(findings.some(({ verdict }) => verdict === "fail") ? 1 : 0);
    /** What was found about something: `warn the text -> the fix`. */
    return (wanted: string): string[] =>
      findings
        .filter(({ check }) => check === wanted)
        .map(({ verdict, text, fix }) => `${verdict} ${text}${fix === undefined ? "" : ` -> ${fix}`}`);
  };

  test("tells people line by line", async () => {
    const { stdout, exitCode } = await lab.run([lab.executable, "doctor"]);
    expect(stdout.replaceAll("\r", "")).toMatch(
      /^ok {4}config {6}every known port is served\nfail {2}driver {6}the VM/,
    );
    expect(stdout).toContain("  -> shut the VM down and give it the channel");
    expect(exitCode).toBe(1);
  });

  test("an administrator is not told to be one", async () => {
    expect((await examine())("user")).toEqual([]);
  });

  test("settings that cannot be read are all there is to say", async () => {
    const path = join(lab.driveC, "wrong.conf");
    await Bun.write(path, "[general]\nverbose=perhaps\n");
    const found = await examine("--config=C:\\wrong.conf");
    expect(found("config")).toEqual([expect.stringMatching(/^fail .*verbose.* -> correct it/)]);
    expect(found("agent")).toEqual([]);
  });

  test("without a service", async () => {
    const found = await examine();
    expect(found("agent")).toEqual([expect.stringMatching(/^warn .*not installed -> inguest.exe -s install/)]);
    expect(found("rivals")).toEqual(["ok no other agent runs"]);
    expect(found("power")).toEqual([expect.stringMatching(/^ok /)]);
    expect(found("state")).toEqual([expect.stringContaining("is made when the agent starts")]);
  });

  describe("with the service on a serial line", () => {
    beforeAll(() => must(lab.executable, "-s", "install", "-m", "isa-serial", "-p", "COM2"));
    afterAll(() => must(lab.executable, "-s", "uninstall"));

    test("that was not started, its own settings count", async () => {
      const found = await examine();
      expect(found("config")).toEqual(["ok isa-serial COM2"]);
      expect(found("driver")).toEqual([]);
      expect(found("port")).toEqual([expect.stringMatching(/^warn COM2 can be opened.*net start inguest/)]);
      expect(found("agent")).toEqual([
        expect.stringMatching(/^warn the service inguest is stopped.*net start inguest/),
      ]);
      expect(found("state")).toEqual(["ok C:\\ProgramData\\qemu-ga is there"]);
    });

    test("that runs", async () => {
      await must("net", "start", "inguest");
      const found = await examine();
      expect(found("agent")).toEqual([expect.stringMatching(/^ok the service inguest runs, process \d+$/)]);
      await stopService("inguest");
    });

    test("that does not start with the system", async () => {
      await replaceService("inguest", `${PROGRAMS}\\inguest.exe -d -m isa-serial -p COM2`, "demand");
      expect((await examine())("agent")).toContainEqual(
        expect.stringMatching(/^warn .*\(manual\) -> sc.exe config inguest start= auto$/),
      );
    });
  });

  test("a line that is not there", async () => {
    await must(lab.executable, "-s", "install", "-m", "isa-serial", "-p", "COM77");
    expect((await examine())("port")).toEqual([
      expect.stringMatching(/^fail there is no COM77 -> give the VM a serial/),
    ]);
    await must(lab.executable, "-s", "uninstall");
  });

  test("a pipe is no port", async () => {
    await must(lab.executable, "-s", "install", "-m", "unix-listen", "-p", "\\\\.\\pipe\\x");
    expect((await examine())("port")).toEqual(["ok a named pipe is served, no port"]);
    await must(lab.executable, "-s", "uninstall");
  });

  /** A file can be opened once too, when it is asked for like a port. */
  test("a port that is open", async () => {
    await Bun.write(join(lab.driveC, "port"), "");
    const words = ["-m", "virtio-serial", "-p", "C:\\port", "-t", "C:\\state"];
    const other = lab.start([lab.executable, ...words, "-v"]);
    await waitFor(async () => ((await other.log()).includes("started") ? true : undefined), 30_000, other.log);
    await must(lab.executable, "-s", "install", ...words);
    expect((await examine())("port")).toEqual([expect.stringMatching(/^fail C:\\port is open in another program/)]);
    await other.kill();
    // A killed program's files are closed by the server, a little later.
    await waitFor(
      async () => ((await examine())("port")[0]?.startsWith("warn C:\\port can be opened") ? true : undefined),
      10_000,
      () => "the port stays open",
    );
    await must("net", "start", "inguest");
    expect((await examine())("port")).toEqual(["ok C:\\port is open, and the agent runs"]);
    await stopService("inguest");
    await must(lab.executable, "-s", "uninstall");
  });

  test("a service whose program has gone", async () => {
    await addService("inguest", "C:\\gone\\inguest.exe -d", "auto");
    expect((await examine())("agent")).toEqual([
      expect.stringMatching(/^fail the service inguest starts C:\\gone\\inguest.exe, which is not there -> /),
    ]);
    await removeService("inguest");
  });

  test("an agent in the place of another one's program is that service", async () => {
    await addService("QEMU-GA", `"${PROGRAMS}\\inguest.exe" -d -m isa-serial -p COM2`, "auto");
    const found = await examine();
    expect(found("config")).toEqual(["ok isa-serial COM2"]);
    expect(found("agent")).toEqual([expect.stringMatching(/^warn the service QEMU-GA is stopped/)]);
    expect(found("rivals")).toEqual(["ok no other agent runs"]);
    await removeService("QEMU-GA");
  });

  test.each(["QEMU-GA", "OVirtGuestService"])("another agent: %s", async (name) => {
    await addService(name, IDLE, "auto");
    const disable = `sc.exe stop ${name}, then: sc.exe config ${name} start= disabled`;
    await must("net", "start", name);
    expect((await examine())("rivals")).toEqual([
      expect.stringMatching(new RegExp(`^fail ${name} runs, process \\d+: .* -> ${disable}$`)),
    ]);
    await stopService(name);
    expect((await examine())("rivals")).toEqual([
      `warn ${name} does not run now, but starts with the system -> ${disable}`,
    ]);
    await replaceService(name, IDLE, "demand");
    expect((await examine())("rivals")).toEqual(["ok no other agent runs"]);
    await removeService(name);
  });

  test("what a freeze needs, one after the other", async () => {
    const freeze = async (): Promise<string> => (await examine())("freeze").join();
    expect(await freeze()).toMatch(/^warn there is no service VSS/);
    await addService("VSS", IDLE, "disabled");
    expect(await freeze()).toMatch(/^warn the service VSS is disabled.*sc.exe config "VSS" start= demand$/);
    await replaceService("VSS", IDLE, "demand");
    expect(await freeze()).toMatch(/^warn no VSS provider .* -> put qga-vss.dll .* inguest.exe -s vss-install$/);
    const file = join(lab.executable, "../qga-vss.dll");
    await Bun.write(file, "");
    expect(await freeze()).toMatch(/^warn no VSS provider .* -> inguest.exe -s vss-install$/);
    await rm(file);
    await must("reg", "add", PROVIDER, "/f");
    expect(await freeze()).toMatch(/^ok can be frozen: .*C:\\/);
    await addService("QEMU Guest Agent VSS Provider", IDLE, "disabled");
    expect(await freeze()).toMatch(/^warn the service QEMU Guest Agent VSS Provider is disabled/);
  });

  test("the time service", async () => {
    const clock = async (): Promise<string> => (await examine())("clock").join();
    expect(await clock()).toMatch(/^warn there is no time service/);
    await addService("W32Time", IDLE, "demand");
    expect(await clock()).toMatch(/^warn .* is stopped: .* -> net start W32Time$/);
    await must("net", "start", "W32Time");
    expect(await clock()).toBe("ok the time service (W32Time) runs");
  });
});
