/** Device drivers, on Windows. */
import { command } from "../command.ts";
import { enumeration, int64, list, optional, string, struct } from "../wire.ts";

export const getDevices = command({
  name: "guest-get-devices",
  since: "5.2",
  summary: "Lists the device drivers, with their dates in nanoseconds since 1970 and the PCI ids of the devices.",
  arguments: {},
  returns: list(
    struct({
      "driver-name": string,
      "driver-date": optional(int64),
      "driver-version": optional(string),
      id: optional(struct({ type: enumeration(["pci"]), "vendor-id": int64, "device-id": int64 })),
    }),
  ),
  supported: ({ devices }) => devices !== undefined,
  run: (_, { guest }) =>
    guest.devices!.list().map(({ driverName, driverDate, driverVersion, id }) => ({
      "driver-name": driverName,
      "driver-date": driverDate,
      "driver-version": driverVersion,
      id: id && { "device-id": id.deviceId, "vendor-id": id.vendorId, type: "pci" as const },
    })),
});
