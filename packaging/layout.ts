/** What a package of the agent puts where. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Printed } from "./generated.ts";

export const PACKAGING = import.meta.dir;
const ROOT = join(PACKAGING, "..");

export interface PackagedFile {
  /** The file on this machine. */
  readonly from: string;
  /** Where it is put: an absolute path, in an archive from its folder on. */
  readonly to: string;
  readonly mode: number;
  /** Settings that a new version of the package does not replace. */
  readonly settings?: true;
}

/** What a package is made from, apart from the files of the repository. */
export interface Made {
  readonly executable: string;
  /** The directory that `printFiles` has filled. */
  readonly printed: string;
}

const file = (from: string, to: string): PackagedFile => ({ from, to, mode: 0o644 });
const program = (from: string, to: string): PackagedFile => ({ from, to, mode: 0o755 });

const documents = (folder: string): PackagedFile[] =>
  ["README.md", "CHANGELOG.md"].map((name) => file(join(ROOT, name), `${folder}/${name}`));
const licence = (path: string): PackagedFile => file(join(ROOT, "LICENSE"), path);

const COMMON: readonly PackagedFile[] = [
  { ...file(join(PACKAGING, "qemu-ga.conf"), "/etc/qemu/qemu-ga.conf"), settings: true },
  { ...program(join(PACKAGING, "fsfreeze-hook"), "/etc/qemu/fsfreeze-hook"), settings: true },
  ...documents("/usr/share/doc/inguest"),
];

const SYSTEMD: readonly PackagedFile[] = [
  file(join(PACKAGING, "systemd/inguest.service"), "/usr/lib/systemd/system/inguest.service"),
  file(join(PACKAGING, "systemd/inguest-restricted.conf"), "/usr/share/doc/inguest/inguest-restricted.conf"),
  file(join(PACKAGING, "udev/60-inguest.rules"), "/usr/lib/udev/rules.d/60-inguest.rules"),
];

const OPENRC: readonly PackagedFile[] = [program(join(PACKAGING, "openrc/inguest.openrc"), "/etc/init.d/inguest")];

/** Where distributions differ. */
interface Customs {
  /** Below `/usr/share/doc/inguest`. */
  readonly licence: string;
  /** Where zsh looks for what packages bring, below `/usr/share/zsh`. */
  readonly zsh: string;
}

const DEBIAN: Customs = { licence: "copyright", zsh: "vendor-completions" };
const OTHERS: Customs = { licence: "LICENSE", zsh: "site-functions" };

function completions({ printed }: Made, share: string, { zsh }: Customs): PackagedFile[] {
  const of = (name: Printed, to: string): PackagedFile => file(join(printed, name), `${share}/${to}`);
  return [
    of("inguest.bash", "bash-completion/completions/inguest"),
    of("inguest.zsh", `zsh/${zsh}/_inguest`),
    of("inguest.fish", "fish/vendor_completions.d/inguest.fish"),
  ];
}

/** @param ending `.gz` for the compressed ones */
function pages({ printed }: Made, share: string, ending: "" | ".gz"): PackagedFile[] {
  const names: readonly Printed[] = ["inguest.1", "inguest-ctl.1"];
  return names.map((name) => file(join(printed, `${name}${ending}`), `${share}/man/man1/${name}${ending}`));
}

const installed = (made: Made, customs: Customs): PackagedFile[] => [
  program(made.executable, "/usr/bin/inguest"),
  ...COMMON,
  licence(`/usr/share/doc/inguest/${customs.licence}`),
  ...pages(made, "/usr/share", ".gz"),
  ...completions(made, "/usr/share", customs),
];

/** The files of a package for Debian and its kin. */
export const filesOfDeb = (made: Made): PackagedFile[] => [...installed(made, DEBIAN), ...SYSTEMD];

/** The files of a package for Fedora, openSUSE and their kin. */
export const filesOfRpm = (made: Made): PackagedFile[] => [...installed(made, OTHERS), ...SYSTEMD];

/** The files of a package for Alpine. */
export const filesOfApk = (made: Made): PackagedFile[] => [...installed(made, OTHERS), ...OPENRC];

/** What is in an archive for Linux. `share` has the form of `/usr/local/share`. */
export const filesOfLinuxArchive = (made: Made): PackagedFile[] => [
  program(made.executable, "/inguest"),
  ...documents(""),
  licence("/LICENSE"),
  ...pages(made, "/share", ""),
  ...completions(made, "/share", OTHERS),
];

/** What is in an archive for Windows. */
export const filesOfWindowsArchive = ({ executable }: Made): PackagedFile[] => [
  program(executable, "/inguest.exe"),
  ...documents(""),
  licence("/LICENSE"),
  ...readdirSync(join(PACKAGING, "windows")).map((name) => file(join(PACKAGING, "windows", name), `/${name}`)),
];
