/** Drivers of virtual devices. */
import type { Devices } from "../../src/guest.ts";
import { fromFiletime } from "./clock.ts";
import { type Device, mapAllDevices, propertyKey } from "./device-tree.ts";
import { fromWide, fromWideList } from "./wide.ts";

/** Keys of devpkey.h. */
const NAME = propertyKey("b725f130-47ef-101a-a5f1-02608c9eebac", 10);
const HARDWARE_IDS = propertyKey("a45c254e-df1c-4efd-8020-67d146a850e0", 3);
const DRIVER_DATE = propertyKey("a8b865dd-2e3d-4094-ad97-e593a70c75d6", 2);
const DRIVER_VERSION = propertyKey("a8b865dd-2e3d-4094-ad97-e593a70c75d6", 3);

/** Hardware of Red Hat and of QEMU, as the PCI bus driver names it. */
const VIRTUAL = /^PCI\\VEN_(1AF4|1B36)&DEV_([0-9A-F]{4})(&|$)/i;

type DeviceFacts = ReturnType<Devices["list"]>[number];

/** The PCI ids in a device's hardware ids; undefined for hardware of others. */
export function virtualPciId(hardwareIds: readonly string[]): { vendorId: number; deviceId: number } | undefined {
  for (const id of hardwareIds) {
    const [, vendor, device] = VIRTUAL.exec(id) ?? [];
    if (vendor !== undefined && device !== undefined) {
      return { vendorId: Number.parseInt(vendor, 16), deviceId: Number.parseInt(device, 16) };
    }
  }
  return undefined;
}

function factsOf(device: Device): DeviceFacts | undefined {
  const name = device.property(NAME);
  const id = virtualPciId(fromWideList(device.property(HARDWARE_IDS) ?? Buffer.alloc(0)));
  if (name === undefined || id === undefined) return undefined;
  const version = device.property(DRIVER_VERSION);
  const date = device.property(DRIVER_DATE);
  // Without both the device has no driver yet.
  if (version === undefined || date === undefined || date.byteLength < 8) return undefined;
  return {
    driverName: fromWide(name),
    driverDate: fromFiletime(date.readBigInt64LE(0)),
    driverVersion: fromWide(version),
    id,
  };
}

export const devices: Devices = {
  list: () => mapAllDevices(factsOf).filter((facts) => facts !== undefined),
};
