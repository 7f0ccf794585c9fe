/**
 * Builds the executables into dist/ with their SHA256SUMS; `--target NAME` builds one.
 *
 * The x64 ones take Bun's baseline build: the default processor models of hypervisors often have no AVX2.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { dropUnusedData } from "./build-data.ts";
import { version } from "./package.json";

interface Target {
  readonly bun: Bun.Build.CompileTarget;
  readonly platform: "linux" | "windows";
  /** Which C library the executable is for. */
  readonly musl?: true;
}

/** By the name that the executable carries. */
const TARGETS: Readonly<Record<string, Target>> = {
  "linux-x64": { bun: "bun-linux-x64-baseline", platform: "linux" },
  "linux-x64-musl": { bun: "bun-linux-x64-baseline-musl", platform: "linux", musl: true },
  "linux-arm64": { bun: "bun-linux-arm64", platform: "linux" },
  "linux-arm64-musl": { bun: "bun-linux-arm64-musl", platform: "linux", musl: true },
  "windows-x64": { bun: "bun-windows-x64-baseline", platform: "windows" },
};

const DIST = "dist";

/**
 * Variables that make an executable of Bun run other code, or open a debugger's socket. Bun has no switch for them, and
 * the agent runs as root.
 */
const HIJACKING_VARIABLES = ["BUN_OPTIONS", "BUN_BE_BUN", "BUN_INSPECT"];

const fileName = (name: string, { platform }: Target): string =>
  `inguest-${name}${platform === "windows" ? ".exe" : ""}`;

/** The commit of the tree, `unknown` outside a repository. */
function commit(): string {
  const { stdout, success } = Bun.spawnSync(["git", "describe", "--always", "--dirty", "--exclude=*"], {
    stderr: "ignore",
  });
  return success ? stdout.toString().trim() : "unknown";
}

/**
 * Where an ELF file that is loaded at fixed addresses has its bytes in memory (elf(5)).
 * @returns the address of the byte at `offset`, undefined when that is not loaded
 */
function addressOf(elf: Buffer, offset: number): bigint | undefined {
  const HEADER = { programHeaders: 32, count: 56 };
  const PROGRAM_HEADER = { size: 56, type: 0, offset: 8, address: 16, fileSize: 32 };
  const PT_LOAD = 1;
  const first = Number(elf.readBigUInt64LE(HEADER.programHeaders));
  for (let index = 0; index < elf.readUInt16LE(HEADER.count); index++) {
    const at = first + index * PROGRAM_HEADER.size;
    const begin = Number(elf.readBigUInt64LE(at + PROGRAM_HEADER.offset));
    const size = Number(elf.readBigUInt64LE(at + PROGRAM_HEADER.fileSize));
    const isInside = offset >= begin && offset < begin + size;
    if (elf.readUInt32LE(at + PROGRAM_HEADER.type) !== PT_LOAD || !isInside) continue;
    return elf.readBigUInt64LE(at + PROGRAM_HEADER.address) + BigInt(offset - begin);
  }
  return undefined;
}

/**
 * Lets the allocator give freed memory back at once, as MIMALLOC_PURGE_DELAY=0 in the environment would: a thread that
 * does it later wakes up every half minute for ever. The default stands in mimalloc's table of options, in front of a
 * pointer to the option's name.
 */
function purgeAtOnce(path: string): void {
  const elf = readFileSync(path);
  const OPTION = { value: -16, usual: 100n };
  const name = addressOf(elf, elf.indexOf("\0purge_delay\0") + 1);
  if (name === undefined) throw new Error(`${path}: the allocator has no purge_delay`);
  const pointer = Buffer.alloc(8);
  pointer.writeBigUInt64LE(name);
  const at = elf.indexOf(pointer) + OPTION.value;
  if (elf.readBigInt64LE(at) !== OPTION.usual || elf.indexOf(pointer, elf.indexOf(pointer) + 1) >= 0) {
    throw new Error(`${path}: the allocator's options are not where they were`);
  }
  elf.writeBigInt64LE(0n, at);
  writeFileSync(path, elf);
}

/** Makes an executable blind to environment variables: no variable has a name that begins with NUL. */
function blotOut(path: string, names: readonly string[]): void {
  const bytes = readFileSync(path);
  for (const name of names) {
    let at = bytes.indexOf(name);
    if (at < 0) throw new Error(`${path} does not know ${name}`);
    for (; at >= 0; at = bytes.indexOf(name, at + 1)) bytes[at] = 0;
  }
  writeFileSync(path, bytes);
}

async function build(name: string, target: Target): Promise<string> {
  const file = fileName(name, target);
  const result = await Bun.build({
    entrypoints: [`platform/${target.platform}/main.ts`],
    target: "bun",
    minify: true,
    bytecode: true,
    define: {
      INGUEST_VERSION: JSON.stringify(version),
      INGUEST_COMMIT: JSON.stringify(commit()),
      INGUEST_MUSL: String(target.musl ?? false),
      "process.platform": JSON.stringify(target.platform === "windows" ? "win32" : target.platform),
    },
    compile: {
      target: target.bun,
      outfile: `${DIST}/${file}`,
      // It runs as root: nothing that lies in its working directory may change what it does.
      autoloadDotenv: false,
      autoloadBunfig: false,
      autoloadTsconfig: false,
      autoloadPackageJson: false,
    },
  });
  if (!result.success) throw new AggregateError(result.logs, `building ${file} failed`);
  blotOut(`${DIST}/${file}`, HIJACKING_VARIABLES);
  if (target.platform === "linux") purgeAtOnce(`${DIST}/${file}`);
  dropUnusedData(`${DIST}/${file}`);
  return file;
}

/** Lists what is in dist/, in the format of sha256sum(1). */
function writeChecksums(): void {
  const lines = Object.entries(TARGETS)
    .map(([name, target]) => fileName(name, target))
    .filter((file) => existsSync(`${DIST}/${file}`))
    .map(
      (file) =>
        `${createHash("sha256")
          .update(readFileSync(`${DIST}/${file}`))
          .digest("hex")}  ${file}\n`,
    );
  writeFileSync(`${DIST}/SHA256SUMS`, lines.join(""));
}

const { values } = parseArgs({ options: { target: { type: "string" } } });
const wanted = Object.entries(TARGETS).filter(([name]) => values.target === undefined || name === values.target);
if (wanted.length === 0) {
  console.error(`there is no target ${values.target}; the targets are ${Object.keys(TARGETS).join(", ")}`);
  process.exit(1);
}
process.chdir(import.meta.dir);
for (const [name, target] of wanted) console.log(`${DIST}/${await build(name, target)}`);
writeChecksums();
