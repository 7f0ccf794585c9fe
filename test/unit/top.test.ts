import { describe, expect, test } from "bun:test";
import { guest } from "../../platform/linux/guest.ts";
import { scaled, topTable, uptimeText } from "../../src/capability/top.ts";
import { describeWith, ensurePackages } from "../lab/apt.ts";
import { mustRun } from "../lab/process.ts";

test.each([
  [0, "0 min"],
  [59 * 60 + 59, "59 min"],
  [3600, " 1:00"],
  [86_399, "23:59"],
  [86_400, "1 day, 0 min"],
  [2 * 86_400 + 14 * 3600 + 5 * 60, "2 days, 14:05"],
])("up %d seconds: %j", (seconds, text) => {
  expect(uptimeText(seconds)).toBe(text);
});

test.each([
  [0, 6, "     0"],
  [999_999, 6, "999999"],
  [1_000_000, 6, "976.6m"],
  [12_345_678, 7, "  11.8g"],
  [2 ** 40, 6, "1.0p"],
  [17_592_186_044_416, 6, " 16.0p"],
])("%d KiB in %d characters: %j", (kibibytes, width, text) => {
  expect(scaled(kibibytes, width).trim()).toBe(text.trim());
  expect(scaled(kibibytes, width)).toHaveLength(width);
});

describe("a guest that cannot say everything", () => {
  test("has no load and no processors", () => {
    const process = {
      ...{ pid: 7, user: "averylongname", priority: -100, nice: 0, virtual: 20_000_000, resident: 512, shared: 0 },
      ...{ state: "R", cpuTime: 3725.019, age: 7450.038, command: "x" },
    };
    const memory = { total: 1024, free: 512, buffers: 0, cached: 256, available: 700, swapTotal: 0, swapFree: 0 };
    const counted = { swapIn: 0, swapOut: 0, pageFaults: 0, majorFaults: 0, oomKills: 0 };
    const table = topTable({
      statistics: { memory: () => ({ ...memory, ...counted }), uptime: () => 60, processes: () => [process] },
      identity: { ...guest.identity, users: () => [], timezone: () => ({ offset: -3600 }) },
      clock: { ...guest.clock, now: () => 3_600_000_000_000n * 25n + 61_000_000_000n },
    });
    expect(table.split("\n")).toEqual([
      "top - 00:01:01 up 1 min,  0 users",
      "Tasks:   1 total,   1 running,   0 sleeping,   0 stopped,   0 zombie",
      "MiB Mem :      1.0 total,      0.5 free,      0.3 used,      0.3 buff/cache",
      "MiB Swap:      0.0 total,      0.0 free,      0.0 used.      0.7 avail Mem",
      "",
      "    PID USER      PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND",
      "      7 averylo+  rt   0   19.1g    512      0 R  50.0  50.0  62:05.02 x",
      "",
    ]);
  });
});

describeWith("this machine, against top(1)", await ensurePackages(["procps"]), () => {
  /** Lines of processes by id. */
  const byPid = (table: string): Map<string, string[]> => {
    const lines = table.split("\n");
    const start = lines.findIndex((line) => line.includes("PID USER"));
    return new Map(
      lines
        .slice(start + 1)
        .flatMap((line) => (line === "" ? [] : [[line.trim().split(/ +/)[0]!, line.trim().split(/ +/)]])),
    );
  };

  test("headings are the same, and so is what is said of processes that only sleep", async () => {
    const theirs = await mustRun(["top", "-b", "-n", "1", "-w", "200"]);
    const ours = topTable(guest);
    const shape = (table: string) => table.split("\n", 7).map((line) => line.trimEnd().replace(/[ \d.:]+/g, " "));
    expect(shape(ours).slice(1)).toEqual(shape(theirs).slice(1));
    const real = byPid(theirs);
    const own = byPid(ours);
    const init = (table: Map<string, string[]>) =>
      table.get("1")?.filter((_, column) => ![5, 6, 8, 9, 10].includes(column));
    expect(init(own)).toEqual(init(real)!);
    const missing = [...real.keys()].filter((pid) => !own.has(pid));
    // top itself has gone by now.
    expect(missing.length).toBeLessThan(5);
    expect(own.size).toBeGreaterThan(real.size - 5);
  });

  test("processor time is the same to a hundredth", async () => {
    const theirs = byPid(await mustRun(["top", "-b", "-n", "1", "-w", "200"]));
    const ours = byPid(topTable(guest));
    const same = [...theirs].filter(([pid, fields]) => ours.get(pid)?.[10] === fields[10]);
    expect(same.length).toBeGreaterThan(theirs.size / 2);
  });
});
