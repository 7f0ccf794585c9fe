/** shell32.dll: command lines. */
import { dlopen } from "bun:ffi";
import { lazily } from "./lazy.ts";

export const shell32 = lazily(
  () => dlopen("shell32.dll", { CommandLineToArgvW: { args: ["ptr", "ptr"], returns: "ptr" } }).symbols,
);
