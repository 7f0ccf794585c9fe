/** get_infomation, which is spelt so on the wire. */
import * as v from "valibot";
import { distributionOf } from "../../../capability/distribution.ts";
import { availableMebibytes } from "../../../capability/memory-sample.ts";
import { mountUsage, PSEUDO_FILESYSTEMS } from "../../../capability/mount-usage.ts";
import { activeUser, userNames } from "../../../capability/users.ts";
import type { Writable } from "../../../framing/json.ts";
import type { NetworkInterface } from "../../../guest.ts";
import { type Context, EayunError, operation } from "../operation.ts";

/** Hosts know the addresses of the others by their lengths, and that of the loopback is left out. */
function interfaceOf({ name, mac, flags, addresses }: NetworkInterface): Writable {
  const loopback = flags.includes("LOOPBACK");
  const ofFamily = (wanted: 4 | 6): string[] =>
    addresses.filter(({ family }) => family === wanted).map(({ address, prefix }) => `${address}/${prefix}`);
  const inet4 = loopback ? [] : ofFamily(4);
  return {
    attr: flags.join(","),
    mac: loopback ? undefined : mac,
    inet6: ofFamily(6)[0],
    name,
    inet4: inet4.length > 0 ? inet4 : undefined,
  };
}

/** What the result is, by the name that is asked for. */
export const INFORMATION: Readonly<Record<string, (context: Context) => Writable>> = {
  // In the words of the first agents: `version` is the name, `distribution` is the version.
  os_info({ agent: { guest } }) {
    const { kernel, name, version, arch, codename } = distributionOf(guest);
    return { kernel, type: guest.os, version: name, distribution: version, arch, codename };
  },
  machine_name: ({ agent: { guest } }) => guest.identity.hostName().split(".", 1)[0] ?? "",
  os_version: ({ agent: { guest } }) => guest.identity.osInfo().kernelRelease ?? "",
  all_network_interfaces: ({ agent: { guest } }) => guest.network.interfaces().map(interfaceOf),
  available_ram: ({ agent: { guest } }) => String(availableMebibytes(guest)),
  users: ({ agent: { guest } }) => userNames(guest).join(" "),
  active_user: ({ agent: { guest } }) => activeUser(guest) ?? "None",
  disks_usage: ({ agent: { guest } }) =>
    mountUsage(guest, PSEUDO_FILESYSTEMS, false).map(({ path, type, totalBytes, usedBytes }) => ({
      path,
      total: totalBytes,
      used: usedBytes,
      fs: type,
    })),
  memory_stats: ({ sampleMemory }) => ({ ...sampleMemory() }),
};

export const getInformation = operation({
  name: "get_infomation",
  summary: "Tells one thing about the guest.",
  arguments: { name: v.string() },
  run({ name }, context) {
    const make = Object.hasOwn(INFORMATION, name) ? INFORMATION[name] : undefined;
    if (make === undefined) throw new EayunError("UnknownName", `there is no information '${name}'`);
    return { result: make(context) };
  },
});
