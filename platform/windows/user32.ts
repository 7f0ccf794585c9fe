/** user32.dll: the end of the session. */
import { dlopen } from "bun:ffi";
import { lazily } from "./lazy.ts";

export const user32 = lazily(
  () => dlopen("user32.dll", { ExitWindowsEx: { args: ["u32", "u32"], returns: "i32" } }).symbols,
);
