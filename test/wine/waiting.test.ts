/** The agent under Wine while its ports are not there. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { describeWith } from "../lab/apt.ts";
import { waitFor } from "../lab/process.ts";
import { openWine, type WineLab, type WineProcess, wineAvailability } from "./wine.ts";

setDefaultTimeout(120_000);

/** Devices are looked for once a second. */
const LOOKS_MS = 3500;

describeWith("waiting", await wineAvailability(), () => {
  let lab: WineLab;
  let agents = 0;

  beforeAll(async () => {
    lab = await openWine();
  });

  afterAll(() => lab?.close());

  /** Starts an agent that waits, and gives what it has said after some looks. */
  async function waitWith(...words: string[]): Promise<string> {
    const agent: WineProcess = lab.start([
      lab.executable,
      "--retry-path",
      "-v",
      "-t",
      `C:\\state${agents++}`,
      ...words,
    ]);
    await waitFor(async () => ((await agent.log()).includes("waiting for") ? true : undefined), 30_000, agent.log);
    await Bun.sleep(LOOKS_MS);
    const log = await agent.log();
    await agent.kill();
    return log;
  }

  const attempts = (log: string): string[] => log.match(/still waiting for the channel: CreateFileW \S+/g) ?? [];

  test("without any port only the usual one is told, and opened once", async () => {
    const log = await waitWith();
    expect(attempts(log)).toEqual([expect.stringContaining("\\\\.\\Global\\org.qemu.guest_agent.0")]);
    expect(log).not.toContain("com.redhat.rhevm.vdsm");
  });

  test("a device that has a name, but cannot be opened, is tried again and again", async () => {
    const log = await waitWith("-m", "virtio-serial", "-p", "\\\\.\\Global\\CON");
    expect(attempts(log).length).toBeGreaterThan(2);
  });
});
