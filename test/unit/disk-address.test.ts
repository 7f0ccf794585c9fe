/** Where disks hang: most of this hardware is not in this machine, so that its paths are made in a temporary folder. */
import { describe, expect, test } from "bun:test";
import { placeOf } from "../../platform/linux/disk-address.ts";
import { fileTree, type Tree } from "../lab/file-tree.ts";

const NO_PCI = { domain: -1, bus: -1, slot: -1, function: -1 };

/** A PCI function's directory with its driver, and other entries in it. */
const pci = (path: string, driver: string, ...entries: string[]): Tree => ({
  [`/sys/bus/pci/drivers/${driver}/`]: "",
  [`/sys/devices/${path}/driver`]: { link: `/sys/bus/pci/drivers/${driver}` },
  ...Object.fromEntries(entries.map((name) => [`/sys/devices/${path}/${name}/`, ""])),
});

function place(tree: Tree, syspath: string) {
  using files = fileTree(tree);
  return placeOf(files.root, `/sys/devices/${syspath}`);
}

describe("behind PCI", () => {
  test("virtio-blk", () => {
    const found = place(pci("pci0000:00/0000:00:1f.7", "virtio-pci"), "pci0000:00/0000:00:1f.7/virtio1/block/vda");
    expect(found).toEqual({
      busType: "virtio",
      pci: { domain: 0, bus: 0, slot: 31, function: 7 },
      bus: 0,
      target: 0,
      unit: 0,
    });
  });

  test("behind a bridge, in another domain: the last function has the driver", () => {
    const found = place(
      { ...pci("pci10000:e0/10000:e0:06.0", "pcieport"), ...pci("pci10000:e0/10000:e0:06.0/10000:e1:00.0", "nvme") },
      "pci10000:e0/10000:e0:06.0/10000:e1:00.0/nvme/nvme0/nvme0n1/nvme0n1p1",
    );
    expect(found).toMatchObject({ busType: "nvme", pci: { domain: 0x10000, bus: 0xe1, slot: 0, function: 0 } });
  });

  test("virtio-scsi: the unit is the LUN", () => {
    const path = "pci0000:00/0000:00:05.0";
    const found = place(pci(path, "virtio-pci"), `${path}/virtio2/host0/target0:1:2/0:1:2:16385/block/sda/sda3`);
    expect(found).toMatchObject({ busType: "scsi", bus: 0, target: 0, unit: 16385 });
  });

  test("SATA: the unit counts the controller's ports, whatever other controllers have", () => {
    const path = "pci0000:00/0000:00:1f.2";
    const ports = ["ata12", "ata7", "ata8", "ata9", "ata10", "ata11", "ata_link", "atax"];
    const found = place(pci(path, "ahci", ...ports), `${path}/ata10/host9/target9:0:0/9:0:0:0/block/sdb`);
    expect(found).toMatchObject({ busType: "sata", bus: 0, unit: 3 });
  });

  test("SATA with more ports than eight", () => {
    const path = "pci0000:00/0000:00:1f.2";
    const ports = Array.from({ length: 12 }, (_, index) => `ata${index + 1}`);
    const found = place(pci(path, "ahci", ...ports), `${path}/ata12/host11/target11:0:0/11:0:0:0/block/sdl`);
    expect(found).toMatchObject({ busType: "sata", unit: 11 });
  });

  test("IDE: two buses with two units each", () => {
    const path = "pci0000:00/0000:00:01.1";
    const found = place(pci(path, "ata_piix", "ata3", "ata4"), `${path}/ata4/host3/target3:0:1/3:0:1:0/block/sda`);
    expect(found).toMatchObject({ busType: "ide", bus: 1, unit: 1 });
  });

  test("IDE as old kernels show it, by hosts", () => {
    const path = "pci0000:00/0000:00:01.1";
    const found = place(pci(path, "ata_piix", "host5", "host4"), `${path}/host5/target5:0:0/5:0:0:0/block/sda`);
    expect(found).toMatchObject({ busType: "ide", bus: 1, unit: 0 });
  });

  test("LSI SCSI: the unit is the target", () => {
    const path = "pci0000:00/0000:00:09.0";
    const found = place(pci(path, "sym53c8xx"), `${path}/host8/target8:0:3/8:0:3:0/block/sde`);
    expect(found).toMatchObject({ busType: "scsi", target: 0, unit: 3 });
  });

  test.each(["xhci_hcd", "ehci-pci"])("USB with %s", (driver) => {
    const path = "pci0000:00/0000:00:07.0";
    const found = place(pci(path, driver), `${path}/usb2/2-1/2-1:1.0/host7/target7:0:0/7:0:0:0/block/sdf`);
    expect(found).toMatchObject({ busType: "usb", unit: 0, pci: { slot: 7 } });
  });

  test("a controller whose paths say nothing is known by its PCI address only", () => {
    const path = "pci0000:00/0000:00:1f.2";
    expect(place(pci(path, "ahci"), `${path}/block/sda`)).toMatchObject({ busType: "unknown", pci: { slot: 31 } });
  });

  test("another driver, or none, tells nothing", () => {
    const path = "pci0000:00/0000:00:05.0";
    expect(place(pci(path, "megaraid_sas"), `${path}/host0/target0:2:0/0:2:0:0/block/sda`)).toBeUndefined();
    expect(place({}, `${path}/host0/target0:2:0/0:2:0:0/block/sda`)).toBeUndefined();
    expect(place({}, "pci0000:00")).toBeUndefined();
  });
});

describe("elsewhere", () => {
  test("virtio-blk on memory-mapped virtio", () => {
    expect(place({}, "platform/a003e00.virtio_mmio/virtio0/block/vda")).toEqual({
      busType: "virtio",
      pci: NO_PCI,
      bus: 0,
      target: 0,
      unit: 0,
    });
  });

  test("virtio-blk on a channel of s390x; the numbers are hexadecimal", () => {
    expect(place({}, "css0/0.1.0a00/0.1.ff1c/virtio3/block/vda")).toEqual({
      busType: "virtio",
      pci: NO_PCI,
      ccw: { cssid: 0, ssid: 1, subchno: 0xa00, devno: 0xff1c },
      bus: 0,
      target: 0,
      unit: 0,
    });
  });

  test("virtio-scsi on a channel: bus, target and unit are all told", () => {
    expect(place({}, "cssfe/fe.0.0001/fe.0.0002/virtio1/host0/target0:1:2/0:1:2:3/block/sda")).toMatchObject({
      busType: "scsi",
      ccw: { cssid: 0xfe, ssid: 0, subchno: 1, devno: 2 },
      bus: 1,
      target: 2,
      unit: 3,
    });
  });

  test("a DASD has a channel and no bus that has a name", () => {
    expect(place({}, "css0/0.0.0010/0.0.0201/block/dasda")).toMatchObject({
      busType: "unknown",
      ccw: { devno: 0x201 },
    });
  });

  test("NVMe with multipath", () => {
    expect(place({}, "virtual/nvme-subsystem/nvme-subsys0/nvme0n1")).toMatchObject({ busType: "nvme", pci: NO_PCI });
  });

  test.each(["virtual/block/loop0", "platform/soc/mmc0/block/mmcblk0", "css0/defunct/0.0.0001", ""])(
    "%p tells nothing",
    (path) => {
      expect(place({}, path)).toBeUndefined();
    },
  );
});
