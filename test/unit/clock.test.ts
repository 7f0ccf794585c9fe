import { describe, expect, test } from "bun:test";
import { clock, fromRtcTime, toRtcTime } from "../../platform/linux/clock.ts";

test("the clock is that of the runtime", () => {
  const before = BigInt(Date.now()) * 1_000_000n;
  const now = clock.now();
  expect(now >= before && now < before + 1_000_000_000n).toBe(true);
});

describe("hardware clock", () => {
  test.each([0, 951_782_399, 951_782_400, 1_078_012_800, 1_709_164_800, 2_147_483_648, 3_155_759_999])(
    "%d goes both ways",
    (seconds) => {
      const fields = toRtcTime(seconds);
      expect(fields.byteLength).toBe(36);
      expect(fromRtcTime(fields)).toBe(seconds);
    },
  );

  test("fields are those of struct rtc_time", () => {
    expect([...toRtcTime(1_709_210_096).subarray(0, 6)]).toEqual([56, 34, 12, 29, 1, 124]);
  });
});
