/** Disks of all kinds in a made-up sysfs and udev database, for hardware and volumes that this machine does not have. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { disksOfDevice, listDisks } from "../../platform/linux/block-devices.ts";
import { linuxStorage } from "../../platform/linux/storage.ts";
import { type Loop, SystemError } from "../../src/guest.ts";
import { type FileTree, fileTree, type Tree } from "../lab/file-tree.ts";

const AHCI = "/sys/devices/pci0000:00/0000:00:1f.2";
const NVME = "/sys/devices/pci0000:00/0000:00:04.0/nvme/nvme0";
const VIRTUAL = "/sys/devices/virtual/block";

const uevent = (numbers: string, name: string): string => {
  const [major, minor] = numbers.split(":");
  return `MAJOR=${major}\nMINOR=${minor}\nDEVNAME=${name}\nDEVTYPE=disk\n`;
};

/** A disk with its links from /sys/block and /sys/dev/block. */
function disk(path: string, numbers: string, sectors = "2048\n", name = path.slice(path.lastIndexOf("/") + 1)): Tree {
  return {
    [`${path}/uevent`]: uevent(numbers, name.replaceAll("!", "/")),
    [`${path}/size`]: sectors,
    [`${path}/slaves/`]: "",
    [`${path}/holders/`]: "",
    [`/sys/block/${name}`]: { link: path },
    [`/sys/dev/block/${numbers}`]: { link: path },
  };
}

const partition = (path: string, numbers: string): Tree => ({
  [`${path}/uevent`]: uevent(numbers, path.slice(path.lastIndexOf("/") + 1)),
  [`${path}/partition`]: "1\n",
  [`/sys/dev/block/${numbers}`]: { link: path },
});

const slave = (of: string, path: string): Tree => ({
  [`${of}/slaves/${path.slice(path.lastIndexOf("/") + 1)}`]: { link: path },
});

const SDA = `${AHCI}/ata1/host0/target0:0:0/0:0:0:0/block/sda`;
const SDB = `${AHCI}/ata2/host1/target1:0:0/1:0:0:0/block/sdb`;
const NVME0N1 = `${NVME}/nvme0n1`;

const TREE: Tree = {
  [`${AHCI}/driver`]: { link: "/sys/bus/pci/drivers/ahci" },
  "/sys/bus/pci/drivers/ahci/": "",
  [`${NVME.slice(0, NVME.indexOf("/nvme"))}/driver`]: { link: "/sys/bus/pci/drivers/nvme" },
  "/sys/bus/pci/drivers/nvme/": "",
  ...disk(SDA, "8:0"),
  ...partition(`${SDA}/sda1`, "8:1"),
  ...partition(`${SDA}/sda2`, "8:2"),
  ...disk(SDB, "8:16"),
  ...disk(NVME0N1, "259:0"),
  ...partition(`${NVME0N1}/nvme0n1p1`, "259:1"),
  // LVM over an encrypted partition and a RAID of two partitions; dm-2 lies on both.
  ...disk(`${VIRTUAL}/dm-0`, "254:0"),
  ...slave(`${VIRTUAL}/dm-0`, `${SDA}/sda2`),
  ...disk(`${VIRTUAL}/md127`, "9:127"),
  ...slave(`${VIRTUAL}/md127`, SDB),
  ...slave(`${VIRTUAL}/md127`, `${NVME0N1}/nvme0n1p1`),
  ...disk(`${VIRTUAL}/dm-2`, "254:2"),
  ...slave(`${VIRTUAL}/dm-2`, `${VIRTUAL}/dm-0`),
  ...slave(`${VIRTUAL}/dm-2`, `${VIRTUAL}/md127`),
  ...disk(`${VIRTUAL}/loop0`, "7:0", "0\n"),
  ...disk(`${VIRTUAL}/loop1`, "7:1"),
  // The path of an NVMe disk below multipath: hidden, without a node.
  ...disk(`${NVME}/nvme0c0n1`, "259:9"),
  [`${NVME}/nvme0c0n1/uevent`]: "DEVTYPE=disk\n",
  ...disk("/sys/devices/pci0000:00/0000:00:09.0/ida!c0d0", "72:0", "8\n", "ida!c0d0"),
  "/run/udev/data/b8:0": "S:disk/by-id/x\nN:sda\nE:ID_SERIAL=QEMU_HARDDISK_QM00001\nE:ID_BUS=ata\nG:systemd\n",
  "/run/udev/data/b8:1": "E:ID_SERIAL=QEMU_HARDDISK_QM00001\nE:ID_PART_ENTRY_NUMBER=1\n",
  "/run/udev/data/b8:16": "E:ID_SERIAL=\nI:7\n",
  "/run/udev/data/b254:0": "E:DM_NAME=luks-1=2 3\nE:DM_UUID=CRYPT-LUKS2\n",
  "/run/udev/data/b254:2": "E:DM_NAME=vg-root\n",
};

const sata = (dev: string, unit: number, serial?: string) => ({
  busType: "sata",
  pci: { domain: 0, bus: 0, slot: 31, function: 2 },
  bus: 0,
  target: 0,
  unit,
  dev,
  ...(serial === undefined ? {} : { serial }),
});
const nvme = (dev: string) => ({
  busType: "nvme",
  pci: { domain: 0, bus: 0, slot: 4, function: 0 },
  bus: 0,
  target: 0,
  unit: 0,
  dev,
});

const unused = (): never => {
  throw new Error("the loop is not needed");
};
const idle: Loop = { run: unused, stop: unused, after: unused, soon: unused, onTerminate: unused };

describe("block devices", () => {
  let tree: FileTree;
  beforeAll(() => {
    tree = fileTree(TREE);
  });
  afterAll(() => tree[Symbol.dispose]());

  const named = (name: string) => listDisks(tree.root).find((each) => each.name === name);

  test("all that have a node and a size, and their partitions", () => {
    const found = listDisks(tree.root);
    expect(found.map(({ name }) => name).sort()).toEqual(
      [
        ...["/dev/dm-0", "/dev/dm-2", "/dev/ida/c0d0", "/dev/loop1", "/dev/md127"],
        ...["/dev/nvme0n1", "/dev/nvme0n1p1", "/dev/sda", "/dev/sda1", "/dev/sda2", "/dev/sdb"],
      ].sort(),
    );
    const partitions = found.filter((each) => each.partition).map(({ name, dependencies }) => [name, dependencies]);
    expect(partitions.sort()).toEqual([
      ["/dev/nvme0n1p1", ["/dev/nvme0n1"]],
      ["/dev/sda1", ["/dev/sda"]],
      ["/dev/sda2", ["/dev/sda"]],
    ]);
  });

  test("a real disk has an address with udev's serial number; an empty one is none", () => {
    expect(named("/dev/sda")).toEqual({
      name: "/dev/sda",
      partition: false,
      dependencies: [],
      address: sata("/dev/sda", 0, "QEMU_HARDDISK_QM00001"),
    } as never);
    expect(named("/dev/sdb")?.address).toEqual(sata("/dev/sdb", 1) as never);
  });

  test("one behind a driver that tells nothing is known by its node", () => {
    expect(named("/dev/ida/c0d0")?.address).toMatchObject({
      busType: "unknown",
      pci: { slot: -1 },
      dev: "/dev/ida/c0d0",
    });
  });

  test("a virtual one has no address, but what it lies on, and the device mapper's name", () => {
    expect(named("/dev/dm-0")).toEqual({
      name: "/dev/dm-0",
      partition: false,
      dependencies: ["/dev/sda2"],
      alias: "luks-1=2 3",
    });
    const { dependencies, alias, address } = named("/dev/dm-2") ?? {};
    expect([...(dependencies ?? [])].sort()).toEqual(["/dev/dm-0", "/dev/md127"]);
    expect([alias, address]).toEqual(["vg-root", undefined]);
  });

  test("of a filesystem are those at the end of all slaves", () => {
    const { name, disks } = disksOfDevice(tree.root, 254, 2);
    expect(name).toBe("dm-2");
    const byNode = [...disks].sort((a, b) => ((a.dev ?? "") < (b.dev ?? "") ? -1 : 1));
    expect(byNode).toEqual([nvme("/dev/nvme0n1p1"), sata("/dev/sda2", 0), sata("/dev/sdb", 1)] as never);
  });

  test("a filesystem on a partition names that, with its own entry in udev's database", () => {
    expect(disksOfDevice(tree.root, 8, 1)).toEqual({
      name: "sda1",
      disks: [sata("/dev/sda1", 0, "QEMU_HARDDISK_QM00001")],
    } as never);
  });

  test("one whose device sysfs does not show is named by its numbers", () => {
    expect(disksOfDevice(tree.root, 8, 99)).toEqual({ name: "8:99", disks: [] });
  });

  test("filesystems with their disks; sizes are those of the mountpoint", () => {
    tree.add({
      "/proc/self/mountinfo": `1 0 254:2 / / rw - ext4 /dev/mapper/vg-root rw\n2 1 7:1 / /not\\040there ro - squashfs /dev/loop1 ro\n`,
    });
    const [root, missing] = linuxStorage(idle, tree.root).filesystems();
    expect(root).toMatchObject({ name: "dm-2", mountpoint: "/", type: "ext4", readOnly: false });
    expect(root?.disks).toHaveLength(3);
    expect(root!.usedBytes! <= root!.totalBytes! && root!.totalBytes! <= root!.totalBytesPrivileged!).toBe(true);
    expect(missing).toEqual({ name: "loop1", mountpoint: "/not there", type: "squashfs", readOnly: true, disks: [] });
  });

  test("files that are missing or garbled cost only what they would have told", () => {
    using odd = fileTree({
      ...TREE,
      [`${SDA}/uevent`]: "",
      [`${SDB}/uevent`]: "MAJOR\n=\nDEVNAME=sdb\n\0\xff",
      [`${VIRTUAL}/loop1/size`]: "many\n",
      "/run/udev/data/b8:16": new Uint8Array([0xff, 0xfe, 0x0a, 0x45]),
      "/sys/block/broken": { link: "/sys/devices/nowhere" },
    });
    const names = listDisks(odd.root).map(({ name }) => name);
    expect(names).toContain("/dev/sdb");
    expect(names).toContain("/dev/loop1");
    expect(names).not.toContain("/dev/sda1");
  });
});

test("without sysfs there is an error with the path", () => {
  using empty = fileTree({});
  expect(() => listDisks(empty.root)).toThrow(SystemError);
  expect(() => listDisks(empty.root)).toThrow(`opendir ${empty.root}/sys/block: No such file or directory`);
});
