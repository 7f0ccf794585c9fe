/** wtsapi32.dll: sessions of users. */
import { dlopen } from "bun:ffi";
import { lazily } from "./lazy.ts";

export const wtsapi32 = lazily(
  () =>
    dlopen("wtsapi32.dll", {
      WTSDisconnectSession: { args: ["i64", "u32", "i32"], returns: "i32" },
      WTSEnumerateSessionsW: { args: ["i64", "u32", "u32", "ptr", "ptr"], returns: "i32" },
      WTSFreeMemory: { args: ["ptr"], returns: "void" },
      WTSLogoffSession: { args: ["i64", "u32", "i32"], returns: "i32" },
      WTSQuerySessionInformationW: { args: ["i64", "u32", "u32", "ptr", "ptr"], returns: "i32" },
    }).symbols,
);
