/** Installed packages, from the databases of dpkg, apk and rpm themselves. */
import { readFileSync, statSync } from "node:fs";
import type { Applications, InstalledPackage } from "../../src/guest.ts";
import { RPM_DATABASES } from "./rpm.ts";

/** How a database of text paragraphs names things: dpkg(1) status, apk(5) installed. Each field stands on a line. */
interface ParagraphFormat {
  readonly name: string;
  readonly version: string;
  readonly provides: string;
  /** Between the names that a package provides. */
  readonly separator: RegExp;
  /** What tells that a package is there, where the database has others too. */
  readonly status?: { readonly field: string; readonly installed: string };
}

export const DPKG: ParagraphFormat = {
  name: "Package: ",
  version: "Version: ",
  provides: "Provides: ",
  separator: /,\s*/,
  status: { field: "Status: ", installed: " installed" },
};
export const APK: ParagraphFormat = {
  name: "P:",
  version: "V:",
  provides: "p:",
  separator: / /,
};

/** A line that is sought: where its text begins, and the text behind what it was sought by. */
interface FoundLine {
  readonly at: number;
  readonly text: string;
}

/** The lines within `file[start, end)` that begin so. No more of the file than these becomes text. */
function* linesWith(file: Buffer, lineStart: string, start = 0, end = file.byteLength): Generator<FoundLine> {
  for (let at = file.indexOf(lineStart, start); at >= 0 && at < end; at = file.indexOf(lineStart, at + 1)) {
    if (at > 0 && file[at - 1] !== NEWLINE) continue;
    const lineEnd = file.indexOf(NEWLINE, at);
    yield { at, text: file.toString("utf8", at + lineStart.length, lineEnd < 0 ? file.byteLength : lineEnd) };
  }
}
const NEWLINE = 0x0a;

/** The first line of such a beginning in the paragraph around a position. */
function fieldAround(file: Buffer, at: number, field: string): string | undefined {
  const start = file.lastIndexOf("\n\n", at);
  const end = file.indexOf("\n\n", at);
  const range = [start < 0 ? 0 : start + 2, end < 0 ? file.byteLength : end] as const;
  for (const { text } of linesWith(file, field, ...range)) return text;
  return undefined;
}

/** Those of the named packages that such a database has, in the order of the names. */
export function packagesIn(file: Buffer, format: ParagraphFormat, names: readonly string[]): InstalledPackage[] {
  const { status } = format;
  const versionAt = (at: number): string | undefined =>
    status === undefined || fieldAround(file, at, status.field)?.endsWith(status.installed)
      ? fieldAround(file, at, format.version)
      : undefined;
  const versions = new Map<string, Set<string>>(names.map((name) => [name, new Set()]));
  const note = (name: string, at: number): void => {
    const version = versionAt(at);
    if (version !== undefined) versions.get(name)?.add(version);
  };
  for (const name of names) {
    for (const { at, text } of linesWith(file, `${format.name}${name}`)) {
      if (text === "") note(name, at);
    }
  }
  const absent = new Set(names.filter((name) => versions.get(name)?.size === 0));
  for (const { at, text } of linesWith(file, format.provides)) {
    for (const entry of text.split(format.separator)) {
      // `mail-transport-agent (= 1)` is `mail-transport-agent`.
      const name = entry.split(/[ =<>~(]/, 1)[0] ?? "";
      if (absent.has(name)) note(name, at);
    }
  }
  return names.flatMap((name) => [...(versions.get(name) ?? [])].map((version) => ({ name, version })));
}

type Read = (path: string, names: readonly string[]) => InstalledPackage[];

const paragraphs =
  (format: ParagraphFormat): Read =>
  (path, names) =>
    packagesIn(readFileSync(path), format, names);

const DATABASES: readonly { readonly path: string; readonly read: Read }[] = [
  { path: "/var/lib/dpkg/status", read: paragraphs(DPKG) },
  { path: "/lib/apk/db/installed", read: paragraphs(APK) },
  ...RPM_DATABASES,
];

/** What a database had to say, until it changes. */
interface Remembered {
  readonly state: string;
  readonly found: readonly InstalledPackage[];
}
const remembered = new Map<string, Remembered>();

/** Packages of one database; none when it is not there or cannot be read. */
function readDatabase(path: string, read: Read, names: readonly string[]): readonly InstalledPackage[] {
  try {
    const { mtimeMs, size, ino } = statSync(path);
    const state = [mtimeMs, size, ino, ...names].join(" ");
    const known = remembered.get(path);
    if (known?.state === state) return known.found;
    const found = read(path, names);
    remembered.set(path, { state, found });
    return found;
  } catch {
    return [];
  }
}

export const applications: Applications = {
  installed(names) {
    const found = DATABASES.flatMap(({ path, read }) => readDatabase(path, read, names));
    return names.flatMap((name) => found.filter((entry) => entry.name === name));
  },
};
