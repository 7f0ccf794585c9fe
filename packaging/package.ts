/**
 * Makes the packages of a release from what `npm run build` has put into dist/: deb, rpm, apk and tarballs with an SBOM,
 * install.sh and SHA256SUMS, in dist/release/ or where `--out` says. `--target NAME` packs one target, `--format
 * NAME` makes one kind of package, `--quick` compresses them lightly, for tests. A package that has become too large is
 * an error.
 *
 * It needs dpkg-deb, rpmbuild, tar and xz: Debian's packages dpkg, rpm, tar and xz-utils.
 */
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { description, license, version } from "../package.json";
import { apk } from "./apk.ts";
import { printFiles } from "./generated.ts";
import {
  filesOfApk,
  filesOfDeb,
  filesOfLinuxArchive,
  filesOfRpm,
  filesOfWindowsArchive,
  type Made,
  PACKAGING,
  type PackagedFile,
} from "./layout.ts";
import { sbom } from "./sbom.ts";

const ROOT = resolve(PACKAGING, "..");
const NAME = "inguest";
/** Bytes that a package may have. */
const LIMIT = 42e6;
/** Of the programs that compress. */
const HARDEST = 9;

interface Target {
  /** The executable in dist/. */
  readonly executable: string;
  /** What each kind of package calls the machine; a kind without a name is not made. */
  readonly deb?: string;
  readonly rpm?: string;
  readonly apk?: string;
  /** What is in its archives. */
  readonly archive: (made: Made) => PackagedFile[];
}

const TARGETS: Readonly<Record<string, Target>> = {
  "linux-x64": { executable: "inguest-linux-x64", deb: "amd64", rpm: "x86_64", archive: filesOfLinuxArchive },
  "linux-arm64": { executable: "inguest-linux-arm64", deb: "arm64", rpm: "aarch64", archive: filesOfLinuxArchive },
  "linux-x64-musl": { executable: "inguest-linux-x64-musl", apk: "x86_64", archive: filesOfLinuxArchive },
  "linux-arm64-musl": { executable: "inguest-linux-arm64-musl", apk: "aarch64", archive: filesOfLinuxArchive },
  "windows-x64": { executable: "inguest-windows-x64.exe", archive: filesOfWindowsArchive },
};

/** Where packages are made. */
interface Workshop {
  /** A directory that is empty, and removed afterwards. */
  readonly scratch: string;
  readonly out: string;
  /** How hard to compress: 0 to 9. */
  readonly level: number;
  /** Seconds since 1970, of everything in the packages: the same source makes the same package. */
  readonly time: number;
}

/** @throws Error with what the program printed */
function run(argv: readonly string[], options: { readonly cwd?: string; readonly time?: number } = {}): string {
  const environment = options.time === undefined ? {} : { SOURCE_DATE_EPOCH: String(options.time) };
  const { exitCode, stdout, stderr } = Bun.spawnSync([...argv], {
    env: { ...process.env, LC_ALL: "C", TZ: "UTC", ...environment },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  if (exitCode !== 0) throw new Error(`${argv.join(" ")} failed: ${stderr.toString() || stdout.toString()}`);
  return stdout.toString();
}

function stage(files: readonly PackagedFile[], directory: string): void {
  for (const { from, to, mode } of files) {
    const path = join(directory, to);
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    copyFileSync(from, path);
    chmodSync(path, mode);
  }
}

const sizeOf = (files: readonly PackagedFile[]): number =>
  files.reduce((total, { from }) => total + statSync(from).size, 0);

/** deb-control(5) */
function debControl(machine: string, files: readonly PackagedFile[]): string {
  const fields: readonly (readonly [string, string])[] = [
    ["Package", NAME],
    ["Version", version],
    ["Architecture", machine],
    ["Maintainer", `the ${NAME} project`],
    ["Installed-Size", String(Math.ceil(sizeOf(files) / 1024))],
    ["Depends", "libc6"],
    ["Provides", "qemu-guest-agent"],
    ["Conflicts", "qemu-guest-agent, ovirt-guest-agent"],
    ["Replaces", "qemu-guest-agent"],
    ["Section", "otherosfs"],
    ["Priority", "optional"],
    ["Description", "Guest agent that answers the host of a virtual machine"],
  ];
  return `${fields.map(([name, value]) => `${name}: ${value}\n`).join("")} ${description}.\n`;
}

function makeDeb(machine: string, made: Made, { scratch, out, level, time }: Workshop): string {
  const tree = join(scratch, "deb");
  const files = filesOfDeb(made);
  stage(files, tree);
  const control = join(tree, "DEBIAN");
  mkdirSync(control, { mode: 0o755 });
  writeFileSync(join(control, "control"), debControl(machine, files));
  const settings = files.filter((file) => file.settings).map(({ to }) => `${to}\n`);
  writeFileSync(join(control, "conffiles"), settings.join(""));
  const scripts = ["postinst", "prerm", "postrm"].map(
    (script): PackagedFile => ({ from: join(PACKAGING, "deb", script), to: `/${script}`, mode: 0o755 }),
  );
  stage(scripts, control);
  const file = `${NAME}_${version}_${machine}.deb`;
  run(["dpkg-deb", "--root-owner-group", "-Zxz", `-z${level}`, "--build", tree, join(out, file)], { time });
  return file;
}

function makeRpm(machine: string, made: Made, { scratch, out, level, time }: Workshop): string {
  const tree = join(scratch, "rpm-files");
  const top = join(scratch, "rpm");
  stage(filesOfRpm(made), tree);
  const definitions = Object.entries({
    _topdir: top,
    staging: tree,
    package_version: version,
    // xz makes it smaller than zstd does, and every rpm reads it.
    _binary_payload: `w${level}T0.xzdio`,
    // As the others are called, without the distribution that it was made on.
    _build_name_fmt: "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm",
    use_source_date_epoch_as_buildtime: "1",
    clamp_mtime_to_source_date_epoch: "1",
    _buildhost: "localhost",
  }).flatMap(([name, value]) => ["--define", `${name} ${value}`]);
  run(
    ["rpmbuild", "-bb", "--quiet", `--target=${machine}-linux`, ...definitions, join(PACKAGING, "rpm/inguest.spec")],
    {
      time,
    },
  );
  const file = `${NAME}-${version}-1.${machine}.rpm`;
  copyFileSync(join(top, "RPMS", file), join(out, file));
  return file;
}

function makeApk(machine: string, made: Made, { out, level, time }: Workshop): string {
  const scriptOf = (event: string): string => readFileSync(join(PACKAGING, "apk", event), "utf8");
  const file = `${NAME}-${version}-r0.${machine}.apk`;
  const bytes = apk({
    name: NAME,
    version: `${version}-r0`,
    description,
    license,
    machine,
    depends: ["libstdc++", "openrc", "!qemu-guest-agent"],
    files: filesOfApk(made),
    scripts: { "post-install": scriptOf("post-install"), "pre-deinstall": scriptOf("pre-deinstall") },
    level: level === HARDEST ? 12 : 1,
    time,
  });
  writeFileSync(join(out, file), bytes);
  return file;
}

/** Its one folder has the name of the target's executable. */
function makeTarball({ archive, executable }: Target, made: Made, { scratch, out, level, time }: Workshop): string {
  const folder = executable.replace(/\.exe$/, "");
  stage(archive(made), join(scratch, folder));
  const file = `${folder}.tar.xz`;
  const owners = ["--owner=root:0", "--group=root:0", "--sort=name", `--mtime=@${time}`];
  run(["tar", "-C", scratch, ...owners, `--use-compress-program=xz -T0 -${level}`, "-cf", join(out, file), folder]);
  return file;
}

type Maker = (target: Target, made: Made, workshop: Workshop) => string | undefined;

const FORMATS: Readonly<Record<string, Maker>> = {
  deb: ({ deb }, made, workshop) => (deb === undefined ? undefined : makeDeb(deb, made, workshop)),
  rpm: ({ rpm }, made, workshop) => (rpm === undefined ? undefined : makeRpm(rpm, made, workshop)),
  apk: ({ apk: machine }, made, workshop) => (machine === undefined ? undefined : makeApk(machine, made, workshop)),
  tarball: makeTarball,
};

/** Of the last commit, as reproducible builds have it; of now outside a repository. */
function sourceTime(): number {
  const given = Number(process.env.SOURCE_DATE_EPOCH);
  if (given > 0) return given;
  const { success, stdout } = Bun.spawnSync(["git", "-C", ROOT, "log", "-1", "--format=%ct"], { stderr: "ignore" });
  return success ? Number(stdout.toString()) : Math.floor(Date.now() / 1000);
}

/** In the format of sha256sum(1). */
function writeChecksums(out: string): void {
  const sums = readdirSync(out)
    .filter((name) => name !== "SHA256SUMS")
    .sort()
    .map(
      (name) =>
        `${createHash("sha256")
          .update(readFileSync(join(out, name)))
          .digest("hex")}  ${name}\n`,
    );
  writeFileSync(join(out, "SHA256SUMS"), sums.join(""));
}

/** The entry of a table, or all of them. @throws Error */
function chosen<Entry>(
  table: Readonly<Record<string, Entry>>,
  name: string | undefined,
  what: string,
): [string, Entry][] {
  const found = Object.entries(table).filter(([known]) => name === undefined || known === name);
  if (found.length === 0) throw new Error(`there is no ${what} ${name}; there are ${Object.keys(table).join(", ")}`);
  return found;
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);

/** Does something in a directory that is made for it. */
function inScratch<Result>(work: (scratch: string) => Result): Result {
  const scratch = mkdtempSync(join(tmpdir(), "inguest-package-"));
  try {
    return work(scratch);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

function main(): void {
  const { values } = parseArgs({
    options: {
      target: { type: "string" },
      format: { type: "string" },
      out: { type: "string" },
      dist: { type: "string" },
      quick: { type: "boolean" },
    },
  });
  const dist = resolve(values.dist ?? join(ROOT, "dist"));
  const out = resolve(values.out ?? join(dist, "release"));
  const targets = chosen(TARGETS, values.target, "target");
  const formats = chosen(FORMATS, values.format, "format");
  const absent = targets.find(([, { executable }]) => !existsSync(join(dist, executable)));
  if (absent !== undefined)
    throw new Error(`${absent[1].executable} is missing: npm run build -- --target ${absent[0]}`);
  // Of directories that are packed.
  process.umask(0o022);
  mkdirSync(out, { recursive: true });
  const time = sourceTime();
  const level = values.quick ? 0 : HARDEST;
  const tooLarge: string[] = [];
  inScratch((printed) => {
    printFiles(printed);
    for (const [, target] of targets) {
      const made = { executable: join(dist, target.executable), printed };
      for (const [, make] of formats) {
        const file = inScratch((scratch) => make(target, made, { scratch, out, level, time }));
        if (file === undefined) continue;
        const { size } = statSync(join(out, file));
        console.log(`${megabytes(size).padStart(6)} MB  ${file}`);
        if (size > LIMIT) tooLarge.push(`${file} has more than ${megabytes(LIMIT)} MB`);
      }
    }
  });
  copyFileSync(join(PACKAGING, "install.sh"), join(out, "install.sh"));
  writeFileSync(join(out, `${NAME}-${version}.cdx.json`), sbom(ROOT, time));
  writeChecksums(out);
  if (!values.quick && tooLarge.length > 0) throw new Error(tooLarge.join("; "));
}

if (import.meta.main) main();
