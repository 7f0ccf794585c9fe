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
  /** Whether a paragraph is about a package that is really there. */
  readonly isInstalled: (paragraph: string) => boolean;
}

export const DPKG: ParagraphFormat = {
  name: "Package: ",
  version: "Version: ",
  provides: "Provides: ",
  separator: /,\s*/,
  isInstalled: (paragraph) => /^Status: \S+ \S+ installed$/m.test(paragraph),
};
export const APK: ParagraphFormat = {
  name: "P:",
  version: "V:",
  provides: "p:",
  separator: / /,
  isInstalled: () => true,
};

/** The paragraph around a position. */
function paragraphAt(file: Buffer, at: number): string {
  const start = file.lastIndexOf("\n\n", at);
  const end = file.indexOf("\n\n", at);
  return file.toString("utf8", start < 0 ? 0 : start + 2, end < 0 ? file.byteLength : end);
}

/** The paragraphs that have a line which begins so. */
function* paragraphsWith(file: Buffer, lineStart: string): Generator<string> {
  if (file.subarray(0, lineStart.length).toString("latin1") === lineStart) yield paragraphAt(file, 0);
  const sought = `\n${lineStart}`;
  for (let at = file.indexOf(sought); at >= 0; at = file.indexOf(sought, at + 1)) yield paragraphAt(file, at + 1);
}

const fieldOf = (paragraph: string, field: string): string | undefined =>
  paragraph
    .split("\n")
    .find((line) => line.startsWith(field))
    ?.slice(field.length);

/** `mail-transport-agent (= 1)` provides `mail-transport-agent`. */
const provides = (paragraph: string, name: string, { provides: field, separator }: ParagraphFormat): boolean =>
  (fieldOf(paragraph, field) ?? "").split(separator).some((entry) => entry.split(/[ =<>~(]/, 1)[0] === name);

/** Those of the named packages that such a database has. */
export function packagesIn(file: Buffer, format: ParagraphFormat, names: readonly string[]): InstalledPackage[] {
  const versionOf = (paragraph: string): string[] => {
    const version = format.isInstalled(paragraph) ? fieldOf(paragraph, format.version) : undefined;
    return version === undefined ? [] : [version];
  };
  return names.flatMap((name) => {
    const own = [...paragraphsWith(file, `${format.name}${name}\n`)].flatMap(versionOf);
    const versions =
      own.length > 0
        ? own
        : [...paragraphsWith(file, format.provides)]
            .filter((paragraph) => provides(paragraph, name, format))
            .flatMap(versionOf);
    return [...new Set(versions)].map((version) => ({ name, version }));
  });
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
