/** iphlpapi.dll: interfaces, addresses and routes. */
import { dlopen } from "bun:ffi";
import { lazily } from "./lazy.ts";

export const iphlpapi = lazily(
  () =>
    dlopen("iphlpapi.dll", {
      FreeMibTable: { args: ["ptr"], returns: "void" },
      GetAdaptersAddresses: { args: ["u32", "u32", "ptr", "ptr", "ptr"], returns: "u32" },
      GetIfEntry2: { args: ["ptr"], returns: "u32" },
      GetIpForwardTable2: { args: ["u16", "ptr"], returns: "u32" },
    }).symbols,
);
