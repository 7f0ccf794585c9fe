/** wtsapi32.dll: sessions of users. */
import { dlopen } from "bun:ffi";
import { lazily } from "./lazy.ts";

export const wtsapi32 = lazily(
  () =>
    dlopen("wtsapi32.dll", {
      WTSEnumerateSessionsW: { args: ["i64", "u32", "u32", "ptr", "ptr"], returns: "i32" },
      WTSFreeMemory: { args: ["ptr"], returns: "void" },
      WTSQuerySessionInformationW: { args: ["i64", "u32", "u32", "ptr", "ptr"], returns: "i32" },
    }).symbols,
);
