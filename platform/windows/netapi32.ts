/** netapi32.dll: accounts. */
import { dlopen } from "bun:ffi";
import { lazily } from "./lazy.ts";

export const netapi32 = lazily(
  () =>
    dlopen("netapi32.dll", {
      NetApiBufferFree: { args: ["ptr"], returns: "u32" },
      NetUserGetInfo: { args: ["ptr", "ptr", "u32", "ptr"], returns: "u32" },
      NetUserSetInfo: { args: ["ptr", "ptr", "u32", "ptr", "ptr"], returns: "u32" },
    }).symbols,
);
