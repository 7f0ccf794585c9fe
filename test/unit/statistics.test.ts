import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { cpus, loadavg, totalmem, uptime } from "node:os";
import { tellsOfOom } from "../../platform/linux/kernel-log.ts";
import { parseCpus, parseDisks, parseTable, statistics } from "../../platform/linux/statistics.ts";

describe("lines of /proc/stat", () => {
  const TOTAL = "cpu  1 2 3 4 5 6 7 8 9 10\n";

  test("all fields, in milliseconds", () => {
    expect(parseCpus(`${TOTAL}cpu12 1 2 3 4 5 6 7 8 9 10\nintr 1 2\n`)).toEqual([
      {
        cpu: 12,
        user: 10,
        nice: 20,
        system: 30,
        idle: 40,
        iowait: 50,
        irq: 60,
        softirq: 70,
        steal: 80,
        guest: 90,
        guestNice: 100,
      },
    ]);
  });

  test("an old kernel's four fields", () => {
    expect(parseCpus(`${TOTAL}cpu0 1 2 3 4`)).toEqual([{ cpu: 0, user: 10, nice: 20, system: 30, idle: 40 }]);
  });

  test("counters beyond 2^53 stay exact", () => {
    expect(parseCpus("cpu0 18446744073709551 1 1 999999999999999\n")).toMatchObject([
      { user: 184467440737095510n, idle: 9999999999999990n },
    ]);
  });

  test.each(["", "intr 1\ncpu0 1 2 3 4\n", "cpu0 1 2 3\n", "cpu0 1 x 3 4\n", "cpux 1 2 3 4\n", "cpu0\n"])(
    "none: %j",
    (text) => {
      expect(parseCpus(text)).toEqual([]);
    },
  );
});

describe("lines of /proc/diskstats", () => {
  const fields = (count: number): string => Array.from({ length: count }, (_, index) => index + 1).join(" ");

  test("each kernel's number of fields", () => {
    const first = {
      readIos: 1,
      readMerges: 2,
      readSectors: 3,
      readTicks: 4,
      writeIos: 5,
      writeMerges: 6,
      writeSectors: 7,
    };
    const eleven = { ...first, writeTicks: 8, iosInProgress: 9, totalTicks: 10, weightTicks: 11 };
    const fifteen = { ...eleven, discardIos: 12, discardMerges: 13, discardSectors: 14, discardTicks: 15 };
    const device = { name: "sda", major: 8, minor: 1 };
    expect(parseDisks(`   8       1 sda ${fields(11)}\n`)).toEqual([{ ...device, ...eleven }]);
    expect(parseDisks(`   8       1 sda ${fields(14)}\n`)).toEqual([{ ...device, ...eleven }]);
    expect(parseDisks(`   8       1 sda ${fields(15)}\n`)).toEqual([{ ...device, ...fifteen }]);
    expect(parseDisks(`   8       1 sda ${fields(17)}\n`)).toEqual([
      { ...device, ...fifteen, flushIos: 16, flushTicks: 17 },
    ]);
    expect(parseDisks(`   8       1 sda ${fields(25)}`)).toEqual([
      { ...device, ...fifteen, flushIos: 16, flushTicks: 17 },
    ]);
  });

  test("odd names and large counters", () => {
    const [disk] = parseDisks(`259 1048575 c!d\u00fc 18446744073709551615 ${fields(10)}\n`);
    expect(disk).toMatchObject({ name: "c!d\u00fc", major: 259, minor: 1048575, readIos: 18446744073709551615n });
  });

  test.each(["", "\n\n", "8 0 sda 1 2 3 4\n", "8 0 sda\n", `x 0 sda ${fields(17)}`, `8 sda ${fields(17)}`])(
    "none: %j",
    (text) => {
      expect(parseDisks(text)).toEqual([]);
    },
  );
});

test("lines of meminfo and vmstat", () => {
  const table = parseTable("MemTotal:  12 kB\nActive(anon): 3 kB\npswpin 4\n: 5\nx\nHugePages_Total:       0\n");
  expect([...table]).toEqual([
    ["MemTotal", 12],
    ["Active(anon)", 3],
    ["pswpin", 4],
    ["HugePages_Total", 0],
  ]);
});

describe("this machine", () => {
  test("processors", () => {
    expect(statistics.cpus?.().map(({ cpu }) => cpu)).toEqual(cpus().map((_, index) => index));
  });

  test("load", () => {
    const { one = 0, five = 0, fifteen = 0 } = statistics.load?.() ?? {};
    [one, five, fifteen].forEach((value, index) => {
      expect(value).toBeCloseTo(loadavg()[index] ?? -1, 1);
    });
  });

  test("disks", () => {
    const names = readFileSync("/proc/diskstats", "utf8")
      .split("\n")
      .flatMap((line) => line.trim().split(/\s+/)[2] ?? []);
    expect(statistics.disks?.().map(({ name }) => name)).toEqual(names);
  });

  test("memory and uptime", () => {
    const memory = statistics.memory();
    expect(memory.total * 1024).toBe(totalmem());
    expect(memory.free).toBeLessThan(memory.total);
    expect(memory.pageFaults).toBeGreaterThan(0);
    expect(Math.abs(statistics.uptime() - uptime())).toBeLessThan(2);
  });
});

describe("records of the kernel's log", () => {
  test.each([
    "3,1,2,-;Out of memory: Kill process 1 (x) score 9 or sacrifice child",
    "3,1,2,-;Out of memory: Killed process 1 (x) total-vm:1kB",
    "3,1,2,-;Memory cgroup out of memory: Kill process 1 (x) score 9 or sacrifice child",
    "3,1,2,-;Out of memory (oom_kill_allocating_task): Kill process 1 (x)",
  ])("a kill: %s", (text) => {
    expect(tellsOfOom(text)).toBe(true);
  });

  test.each([
    "",
    "6,1,2,-;x Out of memory: Kill",
    "6,1,2,-;Memory: 1K/2K available",
    "4,1,2,-;Out of memory: no killable processes",
  ])("none: %j", (text) => {
    expect(tellsOfOom(text)).toBe(false);
  });
});
