/** What a version of Windows is called. */

export interface WindowsVersion {
  readonly major: number;
  readonly minor: number;
  readonly build: number;
  readonly server: boolean;
}

interface Release {
  readonly name: string;
  readonly id: string;
}

const release = (id: string, name: string): Release => ({ id, name: `Microsoft Windows ${name}` });

/** By major and minor number; qemu-ga's ids. */
const CLIENTS: Readonly<Record<string, Release>> = {
  "5.0": release("2000", "2000"),
  "5.1": release("xp", "XP"),
  "6.0": release("vista", "Vista"),
  "6.1": release("7", "7"),
  "6.2": release("8", "8"),
  "6.3": release("8.1", "8.1"),
};
const SERVERS: Readonly<Record<string, Release>> = {
  "5.2": release("2003", "Server 2003"),
  "6.0": release("2008", "Server 2008"),
  "6.1": release("2008r2", "Server 2008 R2"),
  "6.2": release("2012", "Server 2012"),
  "6.3": release("2012r2", "Server 2012 R2"),
};
/** Since version 10.0 only the build tells; from the first build on, the newest first. */
const CLIENTS_BY_BUILD: readonly (readonly [number, Release])[] = [
  [22000, release("11", "11")],
  [10240, release("10", "10")],
];
const SERVERS_BY_BUILD: readonly (readonly [number, Release])[] = [
  [26040, release("2025", "Server 2025")],
  [20344, release("2022", "Server 2022")],
  [17763, release("2019", "Server 2019")],
  [14393, release("2016", "Server 2016")],
];
const UNKNOWN: Release = { name: "N/A", id: "N/A" };

export function releaseOf({ major, minor, build, server }: WindowsVersion): Release {
  const key = `${major}.${minor}`;
  if (key !== "10.0") return (server ? SERVERS : CLIENTS)[key] ?? UNKNOWN;
  return (server ? SERVERS_BY_BUILD : CLIENTS_BY_BUILD).find(([first]) => build >= first)?.[1] ?? UNKNOWN;
}
