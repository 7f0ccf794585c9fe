/** Which guest this is. */
import { distributionOf } from "../../../capability/distribution.ts";
import { integer, message, text } from "../message.ts";

export const hostName = message({
  name: "host-name",
  version: 0,
  summary: "The fully qualified name, the host name when there is none.",
  content: { name: text },
  atStart: true,
  onRefresh: true,
  rate: "report_application_rate",
  make: ({ guest }) => ({ name: guest.identity.fqdn() }),
});

export const osVersion = message({
  name: "os-version",
  version: 0,
  summary: "The kernel's release; on Windows the system's name.",
  content: { version: text },
  atStart: true,
  onRefresh: true,
  rate: "report_application_rate",
  make: ({ guest: { identity, os } }) => {
    const { kernelRelease = "", prettyName = kernelRelease } = identity.osInfo();
    return { version: os === "windows" ? prettyName : kernelRelease };
  },
});

export const fqdn = message({
  name: "fqdn",
  version: 0,
  summary: "The fully qualified name.",
  content: { fqdn: text },
  atStart: true,
  onRefresh: true,
  rate: "report_application_rate",
  make: ({ guest }) => ({ fqdn: guest.identity.fqdn() }),
});

export const timezone = message({
  name: "timezone",
  version: 2,
  summary: "The zone's name in the time zone database, its abbreviation when it has none, and minutes east of UTC now.",
  content: { zone: text, offset: integer },
  atStart: true,
  onRefresh: true,
  make: ({ guest: { identity } }) => {
    const { zone = "", offset } = identity.timezone();
    return { zone: identity.zoneName?.() ?? zone, offset: Math.trunc(offset / 60) };
  },
});

/** All of 32 bits. */
const X86 = /^i[3-6]86$/;

export const osInfo = message({
  name: "os-info",
  version: 2,
  summary:
    "The distribution, its version and codename, the kernel and the architecture; empty texts for what is not known.",
  content: { distribution: text, version: text, codename: text, arch: text, kernel: text, type: text },
  atStart: true,
  onRefresh: true,
  make: ({ guest }) => {
    const { name, arch, ...others } = distributionOf(guest);
    return { ...others, distribution: name, arch: X86.test(arch) ? "x86" : arch, type: guest.os };
  },
});
