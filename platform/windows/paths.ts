/** Where qemu-ga's Windows installer has its files, so that an exchange of the executable changes nothing. */
import { dirname } from "node:path";
import type { DefaultPaths } from "../../src/guest.ts";

const programData = process.env.ProgramData ?? "C:\\ProgramData";

/** The directory of the executable. */
export const programDirectory = dirname(process.execPath);

export const paths: DefaultPaths = {
  configFile: `${programDirectory}\\qemu-ga.conf`,
  pidfile: `${programData}\\qemu-ga\\qemu-ga.pid`,
  statedir: `${programData}\\qemu-ga`,
  fsfreezeHook: `${programDirectory}\\fsfreeze-hook.bat`,
};
