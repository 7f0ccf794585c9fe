/** powrprof.dll: sleep. */
import { dlopen } from "bun:ffi";
import { lazily } from "./lazy.ts";

export const powrprof = lazily(
  () =>
    dlopen("powrprof.dll", {
      GetPwrCapabilities: { args: ["ptr"], returns: "u8" },
      SetSuspendState: { args: ["u8", "u8", "u8"], returns: "u8" },
    }).symbols,
);
