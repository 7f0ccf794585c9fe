/** Who the guest is: uname(2), its distribution, names, time zone and users. */
import type { Identity, OsInfo } from "../../src/guest.ts";
import { clock } from "./clock.ts";
import { check, libc } from "./libc.ts";
import { readOsRelease } from "./os-release.ts";
import { releaseVersion } from "./release-version.ts";
import { loggedInUsers } from "./sessions.ts";
import { localTime } from "./timezone.ts";
import { textOf } from "./whole-file.ts";
import { zoneName } from "./zone-name.ts";

/** struct utsname: each field has room for 65 bytes and ends with NUL. */
const FIELD_SIZE = 65;
const UTSNAME = { nodename: 65, release: 130, version: 195, machine: 260, size: 390 } as const;
const utsname = Buffer.alloc(UTSNAME.size);

function field(at: number): string {
  const end = utsname.indexOf(0, at);
  return utsname.toString("utf8", at, end < 0 ? at + FIELD_SIZE : end);
}

function hostName(): string {
  check(libc.uname(utsname), "uname");
  return field(UTSNAME.nodename);
}

/** The canonical name that hosts(5) has for a host name; undefined when it has none with a dot. */
export function canonicalName(hosts: string, name: string): string | undefined {
  for (const line of hosts.split("\n")) {
    const [, ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (!names.includes(name)) continue;
    const qualified = names.find((candidate) => candidate.includes("."));
    if (qualified !== undefined && qualified !== "localhost.localdomain") return qualified;
  }
  return undefined;
}

/** Asks no name server: an agent that waits for the network does not answer its host. */
function fqdn(): string {
  const name = hostName();
  if (name.includes(".")) return name;
  return canonicalName(textOf("/etc/hosts") ?? "", name) ?? name;
}

/** Members of os-release(5) by the names that they have here. */
const OS_RELEASE: readonly (readonly [member: keyof OsInfo, name: string])[] = [
  ["id", "ID"],
  ["name", "NAME"],
  ["prettyName", "PRETTY_NAME"],
  ["version", "VERSION"],
  ["versionId", "VERSION_ID"],
  ["variant", "VARIANT"],
  ["variantId", "VARIANT_ID"],
  ["codename", "VERSION_CODENAME"],
];

function osInfo(): OsInfo {
  check(libc.uname(utsname), "uname");
  const info: { -readonly [Member in keyof OsInfo]: OsInfo[Member] } = {
    kernelRelease: field(UTSNAME.release),
    kernelVersion: field(UTSNAME.version),
    machine: field(UTSNAME.machine),
  };
  const values = readOsRelease();
  for (const [member, name] of OS_RELEASE) {
    const value = values.get(name);
    if (value !== undefined) info[member] = value;
  }
  return info;
}

export const identity: Identity = {
  hostName,
  fqdn,
  osInfo,
  timezone: () => localTime(Number(clock.now() / 1_000_000_000n)),
  zoneName,
  releaseVersion,
  users: loggedInUsers,
};
