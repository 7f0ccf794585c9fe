/** Devices as SetupAPI lists them. */
import { ERROR, lastError, systemError } from "./errors.ts";
import { guid } from "./guid.ts";
import { type Handle, INVALID_HANDLE } from "./kernel32.ts";
import { setupapi } from "./setupapi.ts";
import { fromWide, wide, wideRoom } from "./wide.ts";

const DIGCF_PRESENT = 2;
const DIGCF_ALLCLASSES = 4;
const DIGCF_DEVICEINTERFACE = 16;

/** SP_DEVINFO_DATA (setupapi.h). */
const DEVICE = { size: 32, instance: 20 } as const;
/** SP_DEVICE_INTERFACE_DATA. */
const INTERFACE = { size: 32 } as const;
/** SP_DEVICE_INTERFACE_DETAIL_DATA_W: its size is that of the fixed part, padded. */
const DETAIL = { fixedSize: 8, path: 4 } as const;
const CR_SUCCESS = 0;
const MAX_DEVICE_ID = 201;

export const DISK_INTERFACE = guid("53f56307-b6bf-11d0-94f2-00a0c91efb8b");
export const STORAGE_PORT_INTERFACE = guid("2accfe60-c130-11d2-b082-00a0c91efb8b");

/** Properties of the registry, by number: 32-bit values. */
export const PROPERTY = { uiNumber: 0x10, busNumber: 0x15, address: 0x1c } as const;

/** A DEVPROPKEY: a GUID and a number. */
export function propertyKey(set: string, id: number): Buffer {
  const key = Buffer.alloc(20);
  guid(set).copy(key);
  key.writeUInt32LE(id, 16);
  return key;
}

export interface Device {
  /** A property of any type; undefined when the device has none. */
  property(key: Buffer): Buffer | undefined;
  /** A 32-bit value of the registry. */
  number(property: number): number | undefined;
  /** The id of the device that it hangs on. */
  parentId(): string | undefined;
}

function deviceOf(list: Handle, data: Buffer): Device {
  return {
    property(key) {
      const type = new Uint32Array(1);
      const size = new Uint32Array(1);
      setupapi().SetupDiGetDevicePropertyW(list, data, key, type, null, 0, size, 0);
      if (lastError() !== ERROR.INSUFFICIENT_BUFFER || !size[0]) return undefined;
      const value = Buffer.alloc(size[0]);
      const got = setupapi().SetupDiGetDevicePropertyW(list, data, key, type, value, size[0], null, 0);
      return got === 0 ? undefined : value;
    },
    number(property) {
      const value = new Uint32Array(1);
      const got = setupapi().SetupDiGetDeviceRegistryPropertyW(list, data, property, null, value, 4, null);
      return got === 0 ? undefined : value[0];
    },
    parentId() {
      const parent = new Uint32Array(1);
      if (setupapi().CM_Get_Parent(parent, data.readUInt32LE(DEVICE.instance), 0) !== CR_SUCCESS) return undefined;
      const id = wideRoom(MAX_DEVICE_ID);
      const code = setupapi().CM_Get_Device_IDW(parent[0] ?? 0, id, MAX_DEVICE_ID, 0);
      return code === CR_SUCCESS ? fromWide(id) : undefined;
    },
  };
}

/**
 * Calls `use` for each present device; of the class with that interface, below that device, if given.
 * @throws SystemError
 */
function mapDevices<T>(
  { interfaceClass, enumerator }: { readonly interfaceClass?: Buffer; readonly enumerator?: string },
  use: (device: Device, list: Handle, data: Buffer) => T,
): T[] {
  const flags = DIGCF_PRESENT | (interfaceClass === undefined ? DIGCF_ALLCLASSES : DIGCF_DEVICEINTERFACE);
  const name = enumerator === undefined ? null : wide(enumerator);
  const list = Number(setupapi().SetupDiGetClassDevsW(interfaceClass ?? null, name, 0, flags));
  if (list === INVALID_HANDLE) throw systemError("SetupDiGetClassDevsW", lastError());
  try {
    const found: T[] = [];
    for (let index = 0; ; index++) {
      const data = Buffer.alloc(DEVICE.size);
      data.writeUInt32LE(DEVICE.size, 0);
      if (setupapi().SetupDiEnumDeviceInfo(list, index, data) === 0) return found;
      found.push(use(deviceOf(list, data), list, data));
    }
  } finally {
    setupapi().SetupDiDestroyDeviceInfoList(list);
  }
}

/** Every present device. @throws SystemError */
export const mapAllDevices = <T>(use: (device: Device) => T): T[] => mapDevices({}, (device) => use(device));

/** Devices with an interface, and the path under which it can be opened. @throws SystemError */
export function mapInterfaces<T>(
  interfaceClass: Buffer,
  use: (device: Device, path: string | undefined) => T,
  enumerator?: string,
): T[] {
  const where = enumerator === undefined ? { interfaceClass } : { interfaceClass, enumerator };
  return mapDevices(where, (device, list, data) => use(device, interfacePath(list, data, interfaceClass)));
}

function interfacePath(list: Handle, data: Buffer, interfaceClass: Buffer): string | undefined {
  const found = Buffer.alloc(INTERFACE.size);
  found.writeUInt32LE(INTERFACE.size, 0);
  if (setupapi().SetupDiEnumDeviceInterfaces(list, data, interfaceClass, 0, found) === 0) return undefined;
  const size = new Uint32Array(1);
  setupapi().SetupDiGetDeviceInterfaceDetailW(list, found, null, 0, size, null);
  if (!size[0]) return undefined;
  const detail = Buffer.alloc(size[0] + 2);
  detail.writeUInt32LE(DETAIL.fixedSize, 0);
  const got = setupapi().SetupDiGetDeviceInterfaceDetailW(list, found, detail, size[0], null, null);
  return got === 0 ? undefined : fromWide(detail, DETAIL.path);
}
