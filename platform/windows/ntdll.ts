/** ntdll.dll: what only the native interface tells. */
import { dlopen } from "bun:ffi";

export const ntdll = dlopen("ntdll.dll", {
  RtlNtStatusToDosError: { args: ["i32"], returns: "u32" },
  RtlIpv6AddressToStringW: { args: ["ptr", "ptr"], returns: "ptr" },
  RtlGetVersion: { args: ["ptr"], returns: "i32" },
}).symbols;
