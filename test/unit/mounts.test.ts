import { describe, expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { blockMounts, type Mount, parseMounts, readBlockMounts, readMounts } from "../../platform/linux/mounts.ts";
import { SystemError } from "../../src/guest.ts";
import { fileTree } from "../lab/file-tree.ts";

const bytes = (table: string): Uint8Array => Buffer.from(table, "latin1");
const only = (line: string): Mount | undefined => parseMounts(bytes(`${line}\n`))[0];

describe("a line of the mount table", () => {
  test("with optional fields, none, one or several", () => {
    for (const optional of ["", "shared:1 ", "shared:1 master:2 propagate_from:3 unbindable "]) {
      expect(only(`36 25 8:17 /a /mnt/b rw,noatime ${optional}- ext4 /dev/sdb1 rw,errors=continue`)).toMatchObject({
        major: 8,
        minor: 17,
        root: "/a",
        mountpoint: "/mnt/b",
        type: "ext4",
        source: "/dev/sdb1",
        readOnly: false,
      });
    }
  });

  test("escapes", () => {
    const mount = only("1 2 8:1 / /a\\040b\\011c\\012d\\134e\\043 rw - ext4 /dev/disk\\040one rw");
    expect(mount?.mountpoint).toBe("/a b\tc\nd\\e#");
    expect(mount?.source).toBe("/dev/disk one");
    expect(Buffer.from(mount!.path).toString("latin1")).toBe("/a b\tc\nd\\e#\0");
  });

  test("names in UTF-8, and bytes that are none: the call gets them as they are", () => {
    const raw = "/\xc3\xa4/\xff\xfe";
    const mount = only(`1 2 8:1 / ${raw} rw - ext4 /dev/sda1 rw`);
    expect(mount?.mountpoint).toBe("/ä/\ufffd\ufffd");
    expect(Buffer.from(mount!.path).toString("latin1")).toBe(`${raw}\0`);
  });

  test("read-only by the mount or by the filesystem, and not by a name that only begins so", () => {
    const readOnly = (options: string, superOptions: string) =>
      only(`1 2 8:1 / /m ${options} - ext4 /dev/sda1 ${superOptions}`)?.readOnly;
    expect(readOnly("ro,nosuid", "rw")).toBe(true);
    expect(readOnly("rw", "ro")).toBe(true);
    expect(readOnly("rw", "rw,rootcontext=ro")).toBe(false);
  });

  test("a dash in a name is not the one that separates", () => {
    expect(only("1 2 8:1 /- /- rw - ext4 /dev/- rw")).toMatchObject({ mountpoint: "/-", source: "/dev/-" });
  });

  test.each([
    "",
    "garbage",
    "1 2 8:1",
    "1 2 8 / /m rw - ext4 /dev/sda1 rw",
    "1 2 8:x / /m rw - ext4 /dev/sda1 rw",
    "1 2 8:1 / /m rw ext4 /dev/sda1 rw",
    "1 2 8:1 / /m rw - ext4",
  ])("is left out when it is none: %p", (line) => {
    expect(only(line)).toBeUndefined();
  });
});

const mountpoints = (mounts: readonly Mount[]): string[] => mounts.map(({ mountpoint }) => mountpoint);

describe("mounts with a block device", () => {
  const table = [
    "20 1 0:19 / /proc rw - proc proc rw",
    "21 1 8:1 / / rw - ext4 /dev/sda1 rw",
    "22 21 8:1 /home /srv rw - ext4 /dev/sda1 rw",
    "23 21 8:2 / /boot ro - vfat /dev/sda2 ro",
    "24 21 0:40 / /net rw - nfs4 server:/export rw",
    "25 21 0:41 / /pool rw - btrfs /dev/does-not-exist rw",
    "26 21 0:42 / /null rw - btrfs /dev/null rw",
    "27 21 10:8 / /ten rw - ext4 /dev/ten rw",
    "not a line",
  ].join("\n");

  test("once for each device, the first mount of it", () => {
    expect(mountpoints(blockMounts(parseMounts(bytes(table))))).toEqual(["/", "/boot", "/ten"]);
  });

  test("are the same whether all lines are read or only those in question", () => {
    using tree = fileTree({ "/proc/self/mountinfo": table });
    expect(readBlockMounts(tree.root)).toEqual(blockMounts(readMounts(tree.root)));
    expect(mountpoints(readBlockMounts(tree.root))).toEqual(["/", "/boot", "/ten"]);
    expect(readBlockMounts()).toEqual(blockMounts(readMounts()));
  });

  test("btrfs has the numbers of the device it was mounted by", () => {
    const source = ["/dev/loop0", "/dev/vda", "/dev/sda"].find((path) => isBlockDevice(path));
    if (source === undefined) return;
    const rdev = statSync(source).rdev;
    const numbers = { major: rdev >> 8, minor: rdev & 0xff };
    const mounts = parseMounts(
      bytes(`1 2 0:50 /@ / rw - btrfs ${source} rw\n1 2 0:51 /@home /home rw - btrfs ${source} rw`),
    );
    expect(blockMounts(mounts)).toMatchObject([{ mountpoint: "/", ...numbers }]);
  });
});

function isBlockDevice(path: string): boolean {
  try {
    return statSync(path).isBlockDevice();
  } catch {
    return false;
  }
}

test("without a mount table there is an error with the path", () => {
  using tree = fileTree({});
  expect(() => readMounts(tree.root)).toThrow(SystemError);
  expect(() => readMounts(tree.root)).toThrow(`${tree.root}/proc/self/mountinfo: No such file or directory`);
});

test("every line of this machine's table is understood", () => {
  const lines = readFileSync("/proc/self/mountinfo", "latin1").split("\n").filter(Boolean);
  expect(readMounts()).toHaveLength(lines.length);
});
