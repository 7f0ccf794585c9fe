/** Disks of every kind that QEMU has and volumes on them: where they hang, what lies on them, and what trimming does. */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeWith, ensurePackages, unpackPackages } from "../lab/apt.ts";
import { cachedFolder } from "../lab/cache.ts";
import { obtainPeer } from "../lab/peer.ts";
import { mustRun, waitFor } from "../lab/process.ts";
import { isObject, type Json, parseJson, printJson } from "../lab/qga-client.ts";
import { compiledAgent } from "./agent.ts";
import { type Answers, type BothAgents, startBothAgents } from "./both-agents.ts";
import { baseImage } from "./image.ts";
import { makeDisk, vmAvailability } from "./vm.ts";

// Bun kills a test's children when its time is up, and the VM is one of them: our own limits must come first.
setDefaultTimeout(180_000);

const MiB = 1024 * 1024;

/** Not installed, because its package would put a service onto this machine. */
async function mdadm(): Promise<string> {
  const folder = await cachedFolder("mdadm", (draft) => unpackPackages(["mdadm"], draft));
  return join(folder, "sbin/mdadm");
}

const packages = await ensurePackages(["dmsetup", "e2fsprogs"]);
const ready = packages.available
  ? await vmAvailability(compiledAgent, obtainPeer, mdadm, () => baseImage("generic"))
  : packages;

/** Controllers at PCI slots of our choice, and their disks. */
const HARDWARE: readonly (readonly [device: string, ...disks: (readonly [name: string, device: string])[]])[] = [
  [
    "virtio-scsi-pci,id=vs,addr=0x10",
    ["scsi1", "scsi-hd,bus=vs.0,scsi-id=1,lun=0"],
    ["scsi2", "scsi-hd,bus=vs.0,scsi-id=2,lun=5"],
  ],
  ["lsi53c895a,id=lsi,addr=0x11", ["lsi", "scsi-hd,bus=lsi.0,scsi-id=3"]],
  ["qemu-xhci,id=xhci,addr=0x12", ["usb3", "usb-storage,bus=xhci.0"]],
  ["usb-ehci,id=ehci,addr=0x13", ["usb2", "usb-storage,bus=ehci.0"]],
  ["piix3-ide,id=piix,addr=0x15", ["ide", "ide-hd,bus=piix.1,unit=1"]],
  ["pcie-root-port,id=rootport,chassis=1,addr=0x16", ["port", "virtio-blk-pci,bus=rootport"]],
  ["pcie-pci-bridge,id=bridge,addr=0x17", ["bridge", "virtio-blk-pci,bus=bridge,addr=5"]],
  ["nvme-subsys,id=paths", ["shared", "nvme-ns,bus=multi"]],
];
const ONBOARD = [
  ["nvme", "nvme,serial=plain,addr=0x14"],
  ["sata0", "ide-hd,bus=ide.0"],
  ["sata3", "ide-hd,bus=ide.3"],
] as const;

/** `TYPE SLOT.FUNCTION BUS:TARGET:UNIT`, as QEMU was told. The slot of what is behind a bridge is the one there. */
const PLACES = [
  "ide 21.0 1:0:1",
  "nvme 20.0 0:0:0",
  "sata 31.2 0:0:0",
  "sata 31.2 0:0:3",
  "scsi 16.0 0:0:0",
  "scsi 16.0 0:0:5",
  "scsi 17.0 0:0:3",
  "usb 18.0 0:0:0",
  "usb 19.0 0:0:0",
  "virtio 0.0 0:0:0",
  "virtio 5.0 0:0:0",
];
const MULTIPATH = "nvme -1.-1 0:0:0";

interface Found {
  readonly name: string;
  readonly place: string | undefined;
  readonly disk: { readonly [key: string]: Json };
}

function placeText(address: Json | undefined): string | undefined {
  if (!isObject(address) || !isObject(address["pci-controller"])) return undefined;
  const { slot, function: part } = address["pci-controller"];
  return `${address["bus-type"]} ${slot}.${part} ${address.bus}:${address.target}:${address.unit}`;
}

function listOf(text: string): { [key: string]: Json }[] {
  const reply = parseJson(text);
  const list = isObject(reply) ? reply.return : undefined;
  if (!Array.isArray(list)) throw new Error(`no list: ${text}`);
  return list.filter(isObject);
}

const disksOf = (text: string): Found[] =>
  listOf(text).map((disk) => ({ name: String(disk.name), place: placeText(disk.address), disk }));

describeWith("disks and filesystems, with the real agent beside", ready, () => {
  let both: BothAgents;
  let folder: string;
  const image = (name: string): string => join(folder, `${name}.img`);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "inguest-disks-"));
    const drive = (name: string, device: string): string[] => {
      const backend = `file=${image(name)},if=none,format=raw,id=drive-${name}`;
      return ["-drive", backend, "-device", `${device},drive=drive-${name}`];
    };
    for (const [name] of [...HARDWARE.flatMap(([, ...disks]) => disks), ...ONBOARD]) {
      await mustRun(["truncate", "-s", "32M", image(name)]);
    }
    await makeDisk({ name: "usb2", sizeMB: 32, fs: "ext4" }, image("usb2"));
    both = await startBothAgents({
      kernel: "generic",
      disks: [
        { name: "data", sizeMB: 128, fs: "ext4", mount: "/mnt/data" },
        { name: "logs", sizeMB: 320, fs: "xfs", mount: "/mnt/logs" },
      ],
      executables: [
        { from: "/sbin/dmsetup", to: "/sbin/dmsetup" },
        { from: "/sbin/mkfs.ext4", to: "/sbin/mkfs.ext4" },
        { from: await mdadm(), to: "/sbin/mdadm" },
      ],
      extraArgs: [
        ...HARDWARE.flatMap(([controller, ...disks]) => [
          ...["-device", controller],
          ...(controller.startsWith("nvme-subsys")
            ? ["-device", "nvme,serial=multi,id=multi,subsys=paths,addr=0x18"]
            : []),
          ...disks.flatMap(([name, device]) => drive(name, device)),
        ]),
        ...ONBOARD.flatMap(([name, device]) => drive(name, device)),
      ],
    });
    const drivers = "sd_mod virtio_scsi ahci nvme xhci_pci ehci_pci usb_storage uas sym53c8xx ata_piix dm-mod raid1";
    await both.vm.guest(`modprobe -a ${drivers}`, 60_000);
    await waitFor(
      async () => (await askDisks()).ours.length === 2 + PLACES.length + 1 || undefined,
      30_000,
      async () => `not all disks: ${await both.vm.guest("ls -l /sys/block")}`,
      500,
    );
  });

  afterAll(async () => {
    await both?.vm.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** What both say of the disks, apart from the one which the real agent has no name for. */
  async function askDisks(): Promise<{ ours: Found[]; theirs: Found[]; text: Answers }> {
    const { ours, theirs } = await both.ask("guest-get-disks");
    const shared = disksOf(ours).find(({ place }) => place === MULTIPATH)?.name;
    const text = (reply: string) => printJson(listOf(reply).filter(({ name }) => name !== shared));
    return { ours: disksOf(ours), theirs: disksOf(theirs), text: { ours: text(ours), theirs: text(theirs) } };
  }

  const deviceAt = async (place: string): Promise<string> => {
    const found = (await askDisks()).ours.find((each) => each.place === place);
    if (found === undefined) throw new Error(`no disk at ${place}`);
    return found.name;
  };

  const same = ({ ours, theirs }: Answers): string => {
    expect(ours).toBe(theirs);
    return ours;
  };

  test("every disk is where QEMU was told to put it", async () => {
    const { ours, text } = await askDisks();
    same(text);
    const places = ours.map(({ place }) => place ?? "");
    // The two virtio disks that the lab itself adds have slots of QEMU's choice.
    for (const place of PLACES) expect(places).toContain(place);
  });

  test("an NVMe disk tells its health", async () => {
    const { ours } = await askDisks();
    const plain = ours.find(({ place }) => place === "nvme 20.0 0:0:0");
    expect(plain?.disk.smart).toMatchObject({ type: "nvme", temperature: expect.any(Number) });
  });

  test("one with multipath too, which the real agent takes for unknown", async () => {
    const { ours, theirs } = await askDisks();
    const own = ours.find(({ place }) => place === MULTIPATH);
    expect(own?.disk.smart).toMatchObject({ type: "nvme", temperature: expect.any(Number) });
    const other = theirs.find(({ name }) => name === own?.name);
    expect(other?.place).toBe("unknown -1.-1 0:0:0");
    expect(other?.disk.smart).toBeUndefined();
  });

  test("serial numbers come from udev's database", async () => {
    const serials = ['with "quotes"', "QEMU_QEMU_HARDDISK_1=2", "", "Ünïcode"];
    const names = ["vda", "sda", "sdb", "nvme0n1"];
    const script = names.map(
      (name, index) =>
        `printf 'S:disk/by-id/x\\nI:42\\nE:ID_SERIAL=%s\\nE:ID_SERIAL_SHORT=short\\nG:systemd\\nV:1\\n' '${serials[index]}' >/run/udev/data/b$(cat /sys/block/${name}/dev)`,
    );
    await both.vm.guest(`mkdir -p /run/udev/data; ${script.join("; ")}`);
    const { ours, text } = await askDisks();
    const found = names.map((name) => ours.find((each) => each.name === `/dev/${name}`)?.disk.address);
    expect(found.map((address) => (isObject(address) ? address.serial : "none"))).toEqual(
      serials.map((serial) => serial || undefined),
    );
    same(text);
    same(await both.ask("guest-get-fsinfo"));
    await both.vm.guest("rm -r /run/udev");
  });

  test("volumes of the device mapper and of md lead to their disks", async () => {
    const [scsi, usb, ide, lsi] = await Promise.all(
      ["scsi 16.0 0:0:0", "usb 18.0 0:0:0", "ide 21.0 1:0:1", "scsi 17.0 0:0:3"].map(deviceAt),
    );
    const table = `0 32768 linear ${scsi} 0\n32768 32768 linear ${usb} 0`;
    await both.vm.guest(
      [
        `mdadm --create /dev/md0 --run --level=1 --metadata=1.2 --raid-devices=2 ${ide} ${lsi} 2>&1`,
        `printf '${table}' | dmsetup create --noudevsync --noudevrules lower`,
        "dmsetup create --noudevsync --noudevrules upper --table '0 65536 linear /dev/dm-0 0'",
        "mkfs.ext4 -q /dev/dm-1",
        "mkfs.ext4 -q /dev/md0",
        "mkdir -p '/mnt/two words' /mnt/mirror",
        "mount -t ext4 /dev/dm-1 '/mnt/two words'",
        "mount -t ext4 /dev/md0 /mnt/mirror",
        "mkdir -p /run/udev/data; echo E:DM_NAME=vg-upper >/run/udev/data/b$(cat /sys/block/dm-1/dev)",
      ].join(" && "),
      60_000,
    );
    const { ours, text } = await askDisks();
    same(text);
    const disk = (name: string) => ours.find((each) => each.name === name)?.disk;
    expect(disk("/dev/dm-1")).toMatchObject({ dependencies: ["/dev/dm-0"], alias: "vg-upper" });
    expect(disk("/dev/dm-0")?.dependencies).toEqual(expect.arrayContaining([scsi, usb]));
    expect(disk("/dev/md0")?.dependencies).toEqual(expect.arrayContaining([ide, lsi]));

    const filesystems = listOf(same(await both.ask("guest-get-fsinfo")));
    const devicesOf = (mountpoint: string) => {
      const disks = filesystems.find((each) => each.mountpoint === mountpoint)?.disk;
      return Array.isArray(disks) ? disks.map((each) => (isObject(each) ? each.dev : undefined)) : undefined;
    };
    expect(devicesOf("/mnt/two words")?.sort()).toEqual([scsi, usb].sort());
    expect(devicesOf("/mnt/mirror")?.sort()).toEqual([ide, lsi].sort());
    expect(devicesOf("/mnt/data")).toEqual(["/dev/vda"]);
    await both.vm.guest(
      "umount '/mnt/two words' /mnt/mirror; dmsetup remove --noudevsync upper lower; mdadm --stop /dev/md0 2>&1",
    );
  });

  test("partitions", async () => {
    const device = await deviceAt("virtio 5.0 0:0:0");
    await both.vm.guest(`printf 'n\\np\\n1\\n\\n+16M\\nn\\np\\n2\\n\\n\\nw\\n' | fdisk ${device}`);
    await both.vm.guest(`mkfs.ext4 -q ${device}2 && mkdir -p /mnt/part && mount -t ext4 ${device}2 /mnt/part`, 60_000);
    const { ours, text } = await askDisks();
    same(text);
    const partitions = ours
      .filter(({ disk }) => disk.partition === true)
      .map(({ name, disk }) => [name, disk.dependencies]);
    expect(partitions.sort()).toEqual([
      [`${device}1`, [device]],
      [`${device}2`, [device]],
    ]);
    const [part] = listOf(same(await both.ask("guest-get-fsinfo"))).filter((each) => each.mountpoint === "/mnt/part");
    expect(part).toMatchObject({ name: `${device.slice("/dev/".length)}2`, disk: [{ dev: `${device}2` }] });
    await both.vm.guest("umount /mnt/part");
  });

  test("guest-fstrim: same results, and the images shrink", async () => {
    const { vm } = both;
    const usb = await deviceAt("usb 19.0 0:0:0");
    // A filesystem that is mounted anew has forgotten what was trimmed.
    const remount = () =>
      vm.guest(
        "umount /mnt/data /mnt/logs /mnt/usb; mount -t ext4 /dev/vda /mnt/data && mount -t xfs /dev/vdb /mnt/logs &&" +
          `mkdir -p /mnt/usb && mount -t ext4 ${usb} /mnt/usb`,
        60_000,
      );
    const allocated = () => ["data", "logs"].map((name) => statSync(vm.diskPath(name)).blocks * 512);
    await vm.guest(
      "for at in data logs; do dd if=/dev/urandom of=/mnt/$at/file bs=1M count=60; done 2>&1; sync",
      120_000,
    );
    const full = allocated();
    await vm.guest("rm /mnt/data/file /mnt/logs/file; sync");
    await remount();
    // Ours first: what the real agent finds later is nothing new for the images.
    const own = await both.answer(both.ours, "guest-fstrim");
    for (const [index, bytes] of allocated().entries()) expect(full[index]! - bytes).toBeGreaterThan(55 * MiB);
    await remount();
    same({ ours: own, theirs: await both.answer(both.theirs, "guest-fstrim") });
    expect(own).toStartWith(
      '{"return": {"paths": [{"path": "/mnt/usb", "error": "trim not supported"}, {"minimum": 512',
    );
    expect(own).toMatch(/"path": "\/mnt\/data", "trimmed": \d{8,}}]}}$/);

    for (const minimum of [4096, 65_536, -1, 2n ** 63n - 1n]) {
      await remount();
      same(await both.ask("guest-fstrim", { minimum }, remount));
    }
  });
});
