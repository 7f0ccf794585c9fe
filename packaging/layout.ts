/** What a package of the agent puts where. */
import { join } from "node:path";

export const PACKAGING = import.meta.dir;
const ROOT = join(PACKAGING, "..");

export interface PackagedFile {
  /** The file on this machine. */
  readonly from: string;
  /** Where it is put: an absolute path. */
  readonly to: string;
  readonly mode: number;
  /** Settings that a new version of the package does not replace. */
  readonly settings?: true;
}

const COMMON: readonly PackagedFile[] = [
  { from: join(PACKAGING, "qemu-ga.conf"), to: "/etc/qemu/qemu-ga.conf", mode: 0o644, settings: true },
  { from: join(PACKAGING, "fsfreeze-hook"), to: "/etc/qemu/fsfreeze-hook", mode: 0o755, settings: true },
  ...["LICENSE", "README.md", "CHANGELOG.md"].map(
    (name): PackagedFile => ({ from: join(ROOT, name), to: `/usr/share/doc/inguest/${name}`, mode: 0o644 }),
  ),
];

const SYSTEMD: readonly PackagedFile[] = [
  { from: join(PACKAGING, "systemd/inguest.service"), to: "/usr/lib/systemd/system/inguest.service", mode: 0o644 },
  {
    from: join(PACKAGING, "systemd/inguest-restricted.conf"),
    to: "/usr/share/doc/inguest/inguest-restricted.conf",
    mode: 0o644,
  },
  { from: join(PACKAGING, "udev/60-inguest.rules"), to: "/usr/lib/udev/rules.d/60-inguest.rules", mode: 0o644 },
];

const OPENRC: readonly PackagedFile[] = [
  { from: join(PACKAGING, "openrc/inguest.openrc"), to: "/etc/init.d/inguest", mode: 0o755 },
];

const executableAt = (from: string): PackagedFile => ({ from, to: "/usr/bin/inguest", mode: 0o755 });

/** The files of a package for systems with systemd. */
export const filesWithSystemd = (executable: string): readonly PackagedFile[] => [
  executableAt(executable),
  ...SYSTEMD,
  ...COMMON,
];

/** The files of a package for systems with OpenRC. */
export const filesWithOpenrc = (executable: string): readonly PackagedFile[] => [
  executableAt(executable),
  ...OPENRC,
  ...COMMON,
];
