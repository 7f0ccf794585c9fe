/** The distribution, as hosts of the oVirt family were told it by Python's `platform` module. */
import type { Guest } from "../guest.ts";

/** Empty texts stand for what is not known. */
export interface Distribution {
  readonly name: string;
  readonly version: string;
  readonly codename: string;
  readonly arch: string;
  readonly kernel: string;
}

/** `7 (Core)` has its codename in parentheses. */
const IN_PARENTHESES = /\(([^)]+)\)/;

export function distributionOf({ identity }: Guest): Distribution {
  const { name = "", version = "", versionId = "", codename, ...kernel } = identity.osInfo();
  return {
    name,
    version: identity.releaseVersion?.() ?? versionId,
    codename: codename ?? IN_PARENTHESES.exec(version)?.[1] ?? "",
    arch: kernel.machine ?? "",
    kernel: kernel.kernelRelease ?? "",
  };
}
