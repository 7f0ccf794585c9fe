/** ole32.dll and oleaut32.dll: COM itself, and its strings. */
import { dlopen } from "bun:ffi";
import { lazily } from "./lazy.ts";

export const ole32 = lazily(
  () =>
    dlopen("ole32.dll", {
      CoInitializeEx: { args: ["ptr", "u32"], returns: "i32" },
      CoInitializeSecurity: {
        args: ["ptr", "i32", "ptr", "ptr", "u32", "u32", "ptr", "u32", "ptr"],
        returns: "i32",
      },
    }).symbols,
);

export const oleaut32 = lazily(
  () => dlopen("oleaut32.dll", { SysFreeString: { args: ["ptr"], returns: "void" } }).symbols,
);
