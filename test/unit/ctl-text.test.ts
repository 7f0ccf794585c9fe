import { describe, expect, test } from "bun:test";
import { innerName, parseListing } from "../../src/cli/ctl/manifest.ts";
import { parseMeminfo } from "../../src/cli/ctl/mem.ts";
import { offsetText } from "../../src/cli/ctl/os.ts";
import { type ProgressState, progressLine } from "../../src/cli/ctl/progress.ts";
import { bytesText, durationText, percentText } from "../../src/cli/ctl/units.ts";

describe("amounts", () => {
  test.each<[bytes: number | bigint, text: string]>([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [1024 * 1024 - 1, "1.0 MiB"],
    [1536 * 1024 * 1024, "1.5 GiB"],
    [2n ** 60n, "1024.0 PiB"],
  ])("%p bytes", (bytes, text) => {
    expect(bytesText(bytes)).toBe(text);
  });

  test.each([
    [0, "0:00"],
    [7.4, "0:07"],
    [59.6, "1:00"],
    [3599, "59:59"],
    [3723, "1:02:03"],
  ])("%p seconds", (seconds, text) => {
    expect(durationText(seconds)).toBe(text);
  });

  test("shares", () => {
    expect([percentText(999, 1000), percentText(5, 5), percentText(0, 0)]).toEqual(["99%", "100%", "-"]);
  });

  test("offsets", () => {
    expect([0, 19_800, -12_600].map(offsetText)).toEqual(["UTC+00:00", "UTC+05:30", "UTC-03:30"]);
  });
});

describe("the progress line", () => {
  const state: ProgressState = { name: "/var/disk.img", done: 50 << 20, total: 200 << 20, rate: 10 << 20 };

  test.each<[change: Partial<ProgressState>, width: number, line: string]>([
    [{}, 79, "disk.img   25% [=====>               ] 50.0 MiB/200.0 MiB  10.0 MiB/s  ETA 0:15"],
    [{}, 66, "disk.img   25% [==>     ] 50.0 MiB/200.0 MiB  10.0 MiB/s  ETA 0:15"],
    [{}, 50, "disk.img   25%  50.0 MiB/200.0 MiB  10.0 MiB/s  ETA 0:15"],
    [{ total: undefined }, 79, "disk.img  50.0 MiB  10.0 MiB/s"],
    [{ total: 5 }, 79, "disk.img  50.0 MiB  10.0 MiB/s"],
    [{ done: 0, total: 0, rate: 0 }, 79, "disk.img     - [========================] 0 B/0 B  0 B/s  ETA -:--"],
    [{ name: `x${"y".repeat(40)}`, total: undefined }, 79, `…${"y".repeat(19)}  50.0 MiB  10.0 MiB/s`],
    [{ name: "a\x1b[2J", total: undefined }, 79, "a?[2J  50.0 MiB  10.0 MiB/s"],
    [{ name: "/etc/", total: undefined }, 79, "etc/  50.0 MiB  10.0 MiB/s"],
  ])("%j in %d columns", (change, width, line) => {
    expect(progressLine({ ...state, ...change }, width)).toBe(line);
    if (width > 60) expect(line.length).toBeLessThanOrEqual(width);
  });
});

describe("listings of a guest", () => {
  const hash = "0".repeat(64);
  const listing = (...parts: string[]): Buffer => Buffer.from(parts.map((part) => `${part}\0`).join(""), "latin1");

  test("are read", () => {
    const tree = parseListing(
      listing("/srv", ".", "./a", "./a/b", "/", `${hash} 12 x ./a/f`, "- 0 - ./a/\xff\n", "/", "./link"),
    );
    expect(tree.root.toString()).toBe("/srv");
    expect(tree.directories.map(String)).toEqual(["a", "a/b"]);
    expect(tree.files).toEqual([
      { name: Buffer.from("a/f"), size: 12, hash, executable: true },
      { name: Buffer.from("a/\xff\n", "latin1"), size: 0, hash: undefined, executable: false },
    ]);
    expect(tree.others).toBe(1);
  });

  test.each([
    ["half of one", listing("/srv", ".", "/")],
    ["nothing", Buffer.alloc(0)],
    ["a wrong record", listing("/srv", ".", "/", "what", "/")],
    ["a name outside", listing("/srv", ".", "/", `${hash} 1 - ./../x`, "/")],
    ["a directory outside", listing("/srv", ".", "./..", "/", "/")],
  ])("%s is refused", (_, output) => {
    expect(() => parseListing(output)).toThrow();
  });

  test.each(["", ".", "./", "/etc", "a", "./a//b", "./a/", "./a/../../b", "../a"])("%j is no inner name", (name) => {
    expect(() => innerName(Buffer.from(name))).toThrow();
  });
});

test("meminfo", () => {
  const text = "MemTotal:       24683520 kB\nActive(anon):      12 kB\nHugePages_Total:       0\nnonsense\n";
  expect(parseMeminfo(text)).toEqual({ MemTotal: 24_683_520 * 1024, "Active(anon)": 12 * 1024 });
});
