/** Who the guest is and who uses it. */
import type { Identity, OsInfo } from "../../src/guest.ts";
import { check, systemError } from "./errors.ts";
import { kernel32 } from "./kernel32.ts";
import { ntdll } from "./ntdll.ts";
import { registryText } from "./registry.ts";
import { loggedInUsers } from "./sessions.ts";
import { fromWide, wideRoom } from "./wide.ts";
import { releaseOf } from "./windows-releases.ts";

const MAX_COMPUTERNAME = 16;
const ComputerNameDnsFullyQualified = 3;
const NAME_ROOM = 1024;

function hostName(): string {
  const size = new Uint32Array([MAX_COMPUTERNAME]);
  const name = wideRoom(MAX_COMPUTERNAME);
  check(kernel32.GetComputerNameW(name, size), "GetComputerNameW");
  return fromWide(name);
}

function fqdn(): string {
  const size = new Uint32Array([NAME_ROOM]);
  const name = wideRoom(NAME_ROOM);
  const found = kernel32.GetComputerNameExW(ComputerNameDnsFullyQualified, name, size) !== 0 ? fromWide(name) : "";
  return found === "" ? hostName() : found;
}

/** OSVERSIONINFOEXW (winnt.h). */
const VERSION = { size: 284, major: 4, minor: 8, build: 12, productType: 282 } as const;
const VER_NT_WORKSTATION = 1;
/** SYSTEM_INFO.wProcessorArchitecture (sysinfoapi.h). */
const ARCHITECTURES: Readonly<Record<number, string>> = { 0: "x86", 5: "arm", 6: "ia64", 9: "x86_64", 12: "aarch64" };
const SYSTEM_INFO_SIZE = 48;

const CURRENT_VERSION = "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion";

function osInfo(): OsInfo {
  const version = Buffer.alloc(VERSION.size);
  version.writeUInt32LE(VERSION.size, 0);
  ntdll.RtlGetVersion(version);
  const system = Buffer.alloc(SYSTEM_INFO_SIZE);
  kernel32.GetNativeSystemInfo(system);
  const major = version.readUInt32LE(VERSION.major);
  const minor = version.readUInt32LE(VERSION.minor);
  const build = version.readUInt32LE(VERSION.build);
  const server = version.readUInt8(VERSION.productType) !== VER_NT_WORKSTATION;
  const productName = registryText(CURRENT_VERSION, "ProductName");
  const release = releaseOf({ major, minor, build, server });
  const variant = server ? "server" : "client";
  return {
    kernelVersion: `${major}.${minor}`,
    kernelRelease: String(build),
    machine: ARCHITECTURES[system.readUInt16LE(0)] ?? "unknown",
    id: "mswindows",
    name: "Microsoft Windows",
    ...(productName === undefined ? {} : { prettyName: productName }),
    version: release.name,
    versionId: release.id,
    variant,
    variantId: variant,
  };
}

/** TIME_ZONE_INFORMATION: minutes west of UTC, and for each half of the year a name and a difference. */
const ZONE = {
  size: 172,
  bias: 0,
  standard: { name: 4, bias: 84 },
  daylight: { name: 88, bias: 168 },
  nameLength: 64,
} as const;
const TIME_ZONE_ID_DAYLIGHT = 2;
const TIME_ZONE_ID_INVALID = 0xffffffff;

function timezone(): { readonly zone: string; readonly offset: number } {
  const zone = Buffer.alloc(ZONE.size);
  const id = kernel32.GetTimeZoneInformation(zone);
  if (id === TIME_ZONE_ID_INVALID) throw systemError("GetTimeZoneInformation", kernel32.GetLastError());
  const { name, bias } = id === TIME_ZONE_ID_DAYLIGHT ? ZONE.daylight : ZONE.standard;
  // 0: the zone has no summer time, and the difference of its standard time does not count.
  const difference = id === 0 ? 0 : zone.readInt32LE(bias);
  return {
    zone: fromWide(zone, name, name + ZONE.nameLength),
    offset: -60 * (zone.readInt32LE(ZONE.bias) + difference) || 0,
  };
}

export const identity: Identity = { hostName, fqdn, osInfo, timezone, users: loggedInUsers };
