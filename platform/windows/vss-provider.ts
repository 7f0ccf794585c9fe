/** The provider of QEMU's Windows package: a DLL that registers itself with COM and with the shadow copy service. */
import { dlopen, type Library } from "bun:ffi";
import { existsSync } from "node:fs";
import { AttemptsError } from "../../src/guest.ts";
import { errorText, hex } from "./errors.ts";
import { programDirectory } from "./paths.ts";
import { registryKeys } from "./registry.ts";
import { QEMU_PROVIDER } from "./vss-api.ts";

const PROVIDER = `${programDirectory}\\qga-vss.dll`;

const PROVIDERS = "SYSTEM\\CurrentControlSet\\Services\\VSS\\Providers";

/** Whether the shadow copy service knows it. */
export const isProviderRegistered = (): boolean =>
  registryKeys(PROVIDERS).some((name) => name.toLowerCase() === `{${QEMU_PROVIDER}}`);

/** Whether it lies beside this program. */
export const hasProviderFile = (): boolean => existsSync(PROVIDER);

/** @throws AttemptsError */
function openProvider(name: string): Library<Record<string, { args: []; returns: "i32" }>> {
  try {
    return dlopen(PROVIDER, { [name]: { args: [], returns: "i32" } });
  } catch (error) {
    throw new AttemptsError([`${PROVIDER} cannot be loaded: ${error instanceof Error ? error.message : error}`]);
  }
}

/** @throws AttemptsError */
function call(name: "COMRegister" | "COMUnregister"): void {
  const library = openProvider(name);
  const result = Number(library.symbols[name]?.() ?? 0);
  library.close();
  if (result < 0) throw new AttemptsError([`${name} of ${PROVIDER}: ${errorText(result)} (${hex(result)})`]);
}

/** @returns a sentence when there is nothing to install. @throws AttemptsError */
export function installProvider(): string {
  if (!hasProviderFile()) return `There is no ${PROVIDER}: guest-fsfreeze-freeze will not work.`;
  call("COMRegister");
  return "";
}

/** @throws AttemptsError */
export function uninstallProvider(): void {
  if (hasProviderFile()) call("COMUnregister");
}
