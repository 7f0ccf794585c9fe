/** Setting the clocks of a guest: that of the system and that of the hardware. */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { describeWith } from "../lab/apt.ts";
import { obtainPeer } from "../lab/peer.ts";
import { compiledAgent } from "./agent.ts";
import { type BothAgents, startBothAgents } from "./both-agents.ts";
import { vmAvailability } from "./vm.ts";

// Bun kills a test's children when its time is up, and the VM is one of them: our own limits must come first.
setDefaultTimeout(120_000);

const ready = await vmAvailability(compiledAgent, obtainPeer);

describeWith("the clocks of a guest", ready, () => {
  let both: BothAgents;

  beforeAll(async () => {
    both = await startBothAgents();
  });
  afterAll(() => both?.vm.stop());

  const systemClock = async (): Promise<number> => Number(await both.vm.guest("date +%s"));
  const hardwareClock = async (): Promise<number> => Number(await both.vm.guest("cat /sys/class/rtc/rtc0/since_epoch"));

  /** The clock goes on while we look, and the hardware's has no fractions. */
  const expectAbout = (seconds: number, expected: number): void => {
    expect({ seconds, about: Math.abs(seconds - expected) <= 3 }).toEqual({ seconds, about: true });
  };

  test.each([1_900_000_000, 1_000_000_000, 3_155_000_000])(
    "both clocks to %d, as the real agent does",
    async (seconds) => {
      const away = () => both.vm.guest("date -s @1500000000 && hwclock -u -w");
      await away();
      const { ours, theirs } = await both.ask("guest-set-time", { time: BigInt(seconds) * 1_000_000_000n }, away);
      expect(ours).toBe(theirs);
      expect(ours).toBe('{"return": {}}');
      expectAbout(await systemClock(), seconds);
      expectAbout(await hardwareClock(), seconds);
      const now = await both.ours.call("guest-get-time");
      expectAbout(Number(BigInt(Number(now)) / 1_000_000_000n), seconds);
    },
  );

  test("the system's from the hardware's", async () => {
    await both.vm.guest("date -s @1800000000 && hwclock -u -w");
    const away = () => both.vm.guest("date -s @1500000000");
    await away();
    const { ours, theirs } = await both.ask("guest-set-time", undefined, away);
    expect(ours).toBe(theirs);
    expectAbout(await systemClock(), 1_800_000_000);
  });

  test("without hwclock(8), which the real agent cannot do", async () => {
    await both.vm.guest("date -s @1800000000 && hwclock -u -w && mv /sbin/hwclock /sbin/hwclock.away");
    await both.vm.guest("date -s @1500000000");
    expect(await both.ours.call("guest-set-time")).toEqual({});
    expectAbout(await systemClock(), 1_800_000_000);

    expect(await both.ours.call("guest-set-time", { time: 2_000_000_000_000_000_000n })).toEqual({});
    expectAbout(await systemClock(), 2_000_000_000);
    expectAbout(await hardwareClock(), 2_000_000_000);
    await both.vm.guest("mv /sbin/hwclock.away /sbin/hwclock");
  });

  test("nor without it when the hardware's clock shows local time, an hour east of UTC", async () => {
    const header = "TZif\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0";
    const counts = [0, 0, 0, 0, 1, 4].map((count) => `\\0\\0\\0\\${count}`).join("");
    await both.vm.guest(`
      mv /sbin/hwclock /sbin/hwclock.away
      printf '${header}${counts}\\0\\0\\16\\20\\0\\0ABC\\0' >/etc/localtime
      printf '0.0 0 0\\n0\\nLOCAL\\n' >/etc/adjtime
    `);
    expect(await both.ours.call("guest-get-timezone")).toEqual({ zone: "ABC", offset: 3600 });
    expect(await both.ours.call("guest-set-time", { time: 1_900_000_000_000_000_000n })).toEqual({});
    expectAbout(await hardwareClock(), 1_900_003_600);
    await both.vm.guest("date -s @1500000000");
    expect(await both.ours.call("guest-set-time")).toEqual({});
    expectAbout(await systemClock(), 1_900_000_000);
    await both.vm.guest("mv /sbin/hwclock.away /sbin/hwclock; rm /etc/adjtime /etc/localtime");
  });

  test("no time that is no time", async () => {
    const before = await systemClock();
    for (const time of [-1, 3_155_760_000_000_000_000n]) {
      await expect(both.ours.call("guest-set-time", { time })).rejects.toThrow("Invalid time");
    }
    expectAbout(await systemClock(), before);
  });
});
