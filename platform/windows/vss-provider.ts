/** The provider of QEMU's Windows package: a DLL that registers itself with COM and with the shadow copy service. */
import { dlopen } from "bun:ffi";
import { existsSync } from "node:fs";
import { AttemptsError } from "../../src/guest.ts";
import { errorText, hex } from "./errors.ts";
import { programDirectory } from "./paths.ts";

const PROVIDER = `${programDirectory}\\qga-vss.dll`;

/** @throws AttemptsError */
function call(name: "COMRegister" | "COMUnregister"): void {
  const library = dlopen(PROVIDER, { [name]: { args: [], returns: "i32" } });
  const result = Number(library.symbols[name]?.() ?? 0);
  library.close();
  if (result < 0) throw new AttemptsError([`${name} of ${PROVIDER}: ${errorText(result)} (${hex(result)})`]);
}

/** @returns a sentence when there is nothing to install. @throws AttemptsError */
export function installProvider(): string {
  if (!existsSync(PROVIDER)) return `There is no ${PROVIDER}: guest-fsfreeze-freeze will not work.`;
  call("COMRegister");
  return "";
}

/** @throws AttemptsError */
export function uninstallProvider(): void {
  if (existsSync(PROVIDER)) call("COMUnregister");
}
