import { describe, expect, test } from "bun:test";
import { copyFileSync, rmSync } from "node:fs";
import { uptime } from "node:os";
import { listProcesses, parsePasswd, parseProcess } from "../../platform/linux/process-list.ts";

const STAT =
  "1234 (a) R (b) S 1 1234 1234 0 -1 4194560 500 0 0 0 150 50 0 0 20 -5 1 0 90000 8192000 100 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n";
const STATUS =
  "Name:\ta\nUid:\t0\t1000\t0\t0\nVmSize:\t    8000 kB\nVmRSS:\t     400 kB\nRssFile:\t 300 kB\nRssShmem:\t 4 kB\n";

test("a process whose name has parentheses and spaces", () => {
  expect(parseProcess(STAT, STATUS, new Map([["1000", "frank"]]), 1000)).toEqual({
    pid: 1234,
    user: "frank",
    priority: 20,
    nice: -5,
    virtual: 8000,
    resident: 400,
    shared: 304,
    state: "S",
    cpuTime: 2,
    age: 100,
    command: "a) R (b",
  });
});

test("one that ended before its status was read", () => {
  expect(parseProcess(STAT, "", new Map(), 0)).toMatchObject({ user: "", virtual: 0, resident: 0, age: 0 });
});

test.each(["", "1234", "1234 (x", "1234 x) S", ")("])("no process: %j", (stat) => {
  expect(parseProcess(stat, STATUS, new Map(), 0)).toBeUndefined();
});

test("passwd: the first of equal numbers counts, odd lines are passed over", () => {
  const users = parsePasswd("root:x:0:0::/:/bin/sh\ntoor:x:0:0::/:/bin/sh\n\n+\nx:y\nnobody:x:65534:65534::/:/bin/sh");
  expect([...users]).toEqual([
    ["0", "root"],
    ["65534", "nobody"],
  ]);
});

describe("this machine", () => {
  test("a child with an odd name is listed, and gone when it is", async () => {
    const program = `/tmp/x) S (${process.pid % 1000}`;
    copyFileSync("/bin/sleep", program);
    const child = Bun.spawn([program, "60"]);
    try {
      await Bun.sleep(50);
      const found = listProcesses(uptime()).find(({ pid }) => pid === child.pid);
      expect(found).toMatchObject({
        user: "root",
        priority: 20,
        nice: 0,
        state: "S",
        command: program.slice("/tmp/".length),
      });
      expect(found?.resident).toBeGreaterThan(0);
      expect(found?.age).toBeLessThan(5);
    } finally {
      child.kill();
      await child.exited;
      rmSync(program);
    }
    expect(listProcesses(uptime()).find(({ pid }) => pid === child.pid)).toBeUndefined();
  });
});
