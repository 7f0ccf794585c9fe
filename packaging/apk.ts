/**
 * Packages for Alpine's package manager in their second format: a gzip stream with a tar archive of metadata and scripts,
 * and behind it one with the files (https://wiki.alpinelinux.org/wiki/Apk_spec). They are not signed: `apk add
 * --allow-untrusted`, or sign the package index.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname } from "node:path";

/** A member of a tar archive. Paths are relative. */
export type TarMember =
  | { readonly kind: "file"; readonly path: string; readonly mode: number; readonly bytes: Uint8Array }
  | { readonly kind: "directory"; readonly path: string; readonly mode: number };

const BLOCK = 512;
/** Where the fields of a ustar header are (POSIX.1-2017, pax), and their lengths. */
const HEADER = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  magic: [257, 8],
  owner: [265, 32],
  group: [297, 32],
} as const;
const TYPES = { file: "0", directory: "5", attributes: "x" } as const;

const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, "0")}\0`;

function tarHeader(
  path: string,
  type: keyof typeof TYPES,
  { mode, size, time }: { readonly mode: number; readonly size: number; readonly time: number },
): Buffer {
  const header = Buffer.alloc(BLOCK);
  const put = (field: keyof typeof HEADER, text: string): void => {
    const [at, length] = HEADER[field];
    if (Buffer.byteLength(text) > length) throw new RangeError(`${path}: '${text}' is too long for ${field}`);
    header.write(text, at);
  };
  put("name", path);
  put("mode", octal(mode, 8));
  put("uid", octal(0, 8));
  put("gid", octal(0, 8));
  put("size", octal(size, 12));
  put("mtime", octal(time, 12));
  put("checksum", " ".repeat(8));
  put("type", TYPES[type]);
  put("magic", "ustar\x0000");
  put("owner", "root");
  put("group", "root");
  const sum = header.reduce((total, byte) => total + byte, 0);
  put("checksum", `${sum.toString(8).padStart(6, "0")}\0 `);
  return header;
}

const padding = (length: number): Buffer => Buffer.alloc(-length & (BLOCK - 1));

/** A record of an extended header: its own length counts too. */
function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length;
  while (`${length}${rest}`.length !== length) length = `${length}${rest}`.length;
  return `${length}${rest}`;
}

/**
 * A tar archive.
 * @param time seconds since 1970, of all members
 * @param checksums adds to each file the digest that apk compares installed files with
 * @param end whether the blocks of zeroes follow that end an archive
 */
export function tar(
  members: readonly TarMember[],
  { time, checksums, end }: { readonly time: number; readonly checksums: boolean; readonly end: boolean },
): Buffer {
  const pieces = members.flatMap((member): Buffer[] => {
    if (member.kind === "directory") return [tarHeader(member.path, "directory", { mode: member.mode, size: 0, time })];
    const bytes = Buffer.from(member.bytes);
    const own = [
      tarHeader(member.path, "file", { mode: member.mode, size: bytes.byteLength, time }),
      bytes,
      padding(bytes.byteLength),
    ];
    if (!checksums) return own;
    const digest = createHash("sha1").update(bytes).digest("hex");
    const attributes = Buffer.from(record("APK-TOOLS.checksum.SHA1", digest));
    const size = attributes.byteLength;
    return [tarHeader(member.path, "attributes", { mode: 0o644, size, time }), attributes, padding(size), ...own];
  });
  return Buffer.concat([...pieces, ...(end ? [Buffer.alloc(2 * BLOCK)] : [])]);
}

/** The files with the directories above them, each directory before what is in it. */
function withDirectories(
  files: readonly { readonly from: string; readonly to: string; readonly mode: number }[],
): TarMember[] {
  const directories = new Set<string>();
  const addAbove = (path: string): void => {
    const above = dirname(path);
    if (above === "." || directories.has(above)) return;
    addAbove(above);
    directories.add(above);
  };
  const members = files.map(({ from, to, mode }): TarMember => {
    const path = to.slice(1);
    addAbove(path);
    return { kind: "file", path, mode, bytes: readFileSync(from) };
  });
  const all = [...[...directories].map((path): TarMember => ({ kind: "directory", path, mode: 0o755 })), ...members];
  return all.sort((left, right) => (left.path < right.path ? -1 : 1));
}

/** How hard to compress: libdeflate's levels. */
type Compression = 1 | 12;

export interface ApkPackage {
  readonly name: string;
  /** With the packager's release: `1.2.3-r0`. */
  readonly version: string;
  readonly description: string;
  readonly license: string;
  /** apk's name of the machine: `x86_64`, `aarch64`. */
  readonly machine: string;
  /** `!name` is a conflict. */
  readonly depends: readonly string[];
  readonly files: readonly { readonly from: string; readonly to: string; readonly mode: number }[];
  /** Scripts by what they are run for: `post-install`. */
  readonly scripts: Readonly<Record<string, string>>;
  readonly level: Compression;
  /** Seconds since 1970. */
  readonly time: number;
}

/** Of those that gzip(1) reads, the smallest: the format knows no other compression. */
const compressed = (bytes: Buffer, level: Compression): Uint8Array =>
  Bun.gzipSync(new Uint8Array(bytes), { library: "libdeflate", level });

/** The bytes of a package. */
export function apk(wanted: ApkPackage): Buffer {
  const { name, version, description, license, machine, depends, files, scripts, level, time } = wanted;
  const members = withDirectories(files);
  const data = compressed(tar(members, { time, checksums: true, end: true }), level);
  const size = members.reduce((total, member) => total + (member.kind === "file" ? member.bytes.byteLength : 0), 0);
  const facts: readonly (readonly [string, string | number])[] = [
    ["pkgname", name],
    ["pkgver", version],
    ["pkgdesc", description],
    ["builddate", time],
    ["size", size],
    ["arch", machine],
    ["origin", name],
    ["license", license],
    ...depends.map((dependency) => ["depend", dependency] as const),
    ["datahash", createHash("sha256").update(data).digest("hex")],
  ];
  const information = facts.map(([key, value]) => `${key} = ${value}\n`).join("");
  const control: TarMember[] = [
    { kind: "file", path: ".PKGINFO", mode: 0o644, bytes: Buffer.from(information) },
    ...Object.entries(scripts).map(
      ([event, text]): TarMember => ({ kind: "file", path: `.${event}`, mode: 0o755, bytes: Buffer.from(text) }),
    ),
  ];
  // The two archives are read as one, so the first has no end.
  return Buffer.concat([compressed(tar(control, { time, checksums: false, end: false }), level), data]);
}
