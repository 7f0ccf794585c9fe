/** Installed programs: what Windows shows as "Apps", and can uninstall. */
import type { Applications, InstalledPackage } from "../../src/guest.ts";
import { registryKeys, registryText } from "./registry.ts";

const UNINSTALL = "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall";
/** The list of 32-bit programs. */
const UNINSTALL_32 = "SOFTWARE\\WOW6432Node\\Microsoft\\Windows\\CurrentVersion\\Uninstall";

function programsBelow(root: string): InstalledPackage[] {
  return registryKeys(root)
    .map((key) => `${root}\\${key}`)
    .map((key) => ({ name: registryText(key, "DisplayName"), version: registryText(key, "DisplayVersion") ?? "" }))
    .filter((program): program is InstalledPackage => program.name !== undefined);
}

/** Each name stands for all programs whose name begins with it, in any case. */
function installed(names: readonly string[]): InstalledPackage[] {
  const programs = [UNINSTALL, UNINSTALL_32].flatMap(programsBelow);
  return names.flatMap((name) =>
    programs.filter((program) => program.name.toLowerCase().startsWith(name.toLowerCase())),
  );
}

export const applications: Applications = { installed };
