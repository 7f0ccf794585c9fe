/** Wine with a prefix of its own: the Windows executable, its COM port and its service, on this machine. */

import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Availability, availabilityOf, ensurePackages } from "../lab/apt.ts";
import { dieWithParent, type Finished, mustRun, type RunOptions, run, waitFor, within } from "../lab/process.ts";

const WINE = "/usr/lib/wine/wine64";
const WINESERVER = "/usr/lib/wine/wineserver";
const COMPILER = "x86_64-w64-mingw32-gcc";
const REPOSITORY = resolve(import.meta.dir, "../..");
const NATIVE = join(import.meta.dir, "native");
const PACKAGES = ["wine64", "gcc-mingw-w64-x86-64", "socat"];

/** The first start of a prefix makes its registry and system files. */
const BOOT_MS = 180_000;
const AGENT_START_MS = 30_000;

/** The executable that the tests run: the one that `INGUEST_WINDOWS` names, else it is built. */
let executable: Promise<string> | undefined;
function findExecutable(): Promise<string> {
  executable ??= (async () => {
    const named = process.env.INGUEST_WINDOWS;
    if (named !== undefined) return resolve(named);
    await mustRun([process.execPath, "run", "build.ts", "--target", "windows-x64"], { cwd: REPOSITORY });
    return join(REPOSITORY, "dist/inguest-windows-x64.exe");
  })();
  return executable;
}

/** Whether Wine and a compiler for Windows are there, after an attempt to install them. */
export async function wineAvailability(): Promise<Availability> {
  const packages = await ensurePackages(PACKAGES);
  return packages.available ? availabilityOf(findExecutable) : packages;
}

/** A program that runs under Wine. */
export interface WineProcess {
  /** Both output streams so far. */
  log(): Promise<string>;
  readonly exited: Promise<number>;
  kill(): Promise<void>;
}

export interface WineLab {
  /** The agent's executable as Linux sees it: a copy in a directory of its own. */
  readonly executable: string;
  /** Where the prefix's drive C: is. */
  readonly driveC: string;
  /** Runs a Windows program to its end. */
  run(argv: readonly string[], options?: RunOptions): Promise<Finished>;
  /** Starts a Windows program. */
  start(argv: readonly string[], env?: Record<string, string>): WineProcess;
  /** Makes COM `number` a line whose other end is a unix socket; give its path. */
  openLine(number: number): Promise<string>;
  /** Waits until the prefix has started its own services; before that its service manager does not answer reliably. */
  settled(): Promise<void>;
  /** Builds a program or DLL of `native` into the directory of the executable, or another one. */
  compile(source: string, output: string, options?: readonly string[]): Promise<string>;
  close(): Promise<void>;
}

/** Makes a prefix and keeps it running: with the last user process gone, Wine would end its services too. */
export async function openWine(): Promise<WineLab> {
  const folder = await mkdtemp(join(tmpdir(), "inguest-wine-"));
  const prefix = join(folder, "prefix");
  const driveC = join(prefix, "drive_c");
  const programs = join(driveC, "inguest");
  const base = { WINEPREFIX: prefix, WINEDEBUG: process.env.WINEDEBUG ?? "-all", LANG: "C.UTF-8" };
  const children: { kill(signal: NodeJS.Signals): void; readonly exited: Promise<number> }[] = [];
  let logs = 0;

  const start = (argv: readonly string[], env: Record<string, string> = {}): WineProcess => {
    const path = join(folder, `${++logs}.log`);
    const child = Bun.spawn([...dieWithParent, WINE, ...argv], {
      stdin: "ignore",
      stdout: Bun.file(path),
      stderr: Bun.file(path),
      env: { ...process.env, ...base, ...env },
    });
    children.push(child);
    return {
      log: async () => ((await Bun.file(path).exists()) ? Bun.file(path).text() : ""),
      exited: child.exited,
      async kill() {
        child.kill("SIGKILL");
        await child.exited;
      },
    };
  };

  const compile = async (source: string, output: string, options: readonly string[] = []): Promise<string> => {
    const path = join(programs, output);
    await mustRun([COMPILER, "-O1", "-Wall", "-Werror", "-o", path, join(NATIVE, source), ...options]);
    return path;
  };

  const close = async (): Promise<void> => {
    for (const child of children) child.kill("SIGKILL");
    await Promise.all(children.map(({ exited }) => exited));
    await run([WINESERVER, "-k"], { env: base, timeoutMs: 20_000 });
    await run([WINESERVER, "-w"], { env: base, timeoutMs: 20_000 });
    await rm(folder, { recursive: true, force: true });
  };

  try {
    await mkdir(prefix);
    // Not by `run`: what it starts would hold the pipes open.
    const booted = await within(start(["wineboot", "-i"]).exited, BOOT_MS, () => "wineboot does not end");
    if (booted !== 0) throw new Error(`wineboot exited with ${booted}`);
    // Services that saw the prefix half made do not come up: it begins anew.
    await run([WINESERVER, "-k"], { env: base, timeoutMs: 20_000 });
    await run([WINESERVER, "-w"], { env: base, timeoutMs: 20_000 });
    await mkdir(programs, { recursive: true });
    await compile("bcryptprimitives.c", "bcryptprimitives.dll", ["-shared", "-ladvapi32"]);
    await copyFile(join(programs, "bcryptprimitives.dll"), join(driveC, "windows/system32/bcryptprimitives.dll"));
    await copyFile(await findExecutable(), join(programs, "inguest.exe"));
    // The first program of a prefix starts the rest, which keeps that program's output open: this one's is a file.
    const resident = start([await compile("stay.c", "stay.exe")]);
    await waitFor(async () => ((await resident.log()).includes("up") ? true : undefined), 60_000, resident.log);
  } catch (error) {
    await close();
    throw error;
  }

  return {
    executable: join(programs, "inguest.exe"),
    driveC,
    run: (argv, options = {}) => run([WINE, ...argv], { ...options, env: { ...base, ...options.env } }),
    start,
    async openLine(number) {
      const terminal = join(folder, `com${number}`);
      const socket = join(folder, `com${number}.socket`);
      const link = join(prefix, "dosdevices", `com${number}`);
      // Wine makes links of its own for the lines of the machine each time a prefix is started: it must run by now.
      await waitFor(
        async () => ((await run([WINE, "cmd", "/c", "exit"], { env: base })).exitCode === 0 ? true : undefined),
        AGENT_START_MS,
        () => "Wine does not start",
      );
      const bridge = Bun.spawn(
        [...dieWithParent, "socat", `PTY,raw,echo=0,link=${terminal}`, `UNIX-LISTEN:${socket}`],
        { stdin: "ignore", stdout: "ignore", stderr: "ignore" },
      );
      children.push(bridge);
      await waitFor(
        () => (existsSync(terminal) ? true : undefined),
        5_000,
        () => "socat made no terminal",
      );
      await rm(link, { force: true });
      await symlink(terminal, link);
      await waitFor(
        () => (existsSync(socket) ? true : undefined),
        5_000,
        () => "socat made no socket",
      );
      return socket;
    },
    async settled() {
      const start = async (): Promise<string> => (await run([WINE, "net", "start", "RpcSs"], { env: base })).stdout;
      await waitFor(
        async () => ((await start()).includes("already running") ? true : undefined),
        60_000,
        async () => `Wine's services do not start: ${await start()}`,
        500,
      );
    },
    compile,
    close,
  };
}

/** An agent on a COM port. */
export interface WineAgent {
  /** A unix socket at the other end of the line. */
  readonly socketPath: string;
  readonly process: WineProcess;
}

/** Starts the agent on COM `number` and waits until it has the line open. */
export async function startWineAgent(
  lab: WineLab,
  number: number,
  args: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<WineAgent> {
  const socketPath = await lab.openLine(number);
  const state = `C:\\state${number}`;
  const agent = lab.start([lab.executable, "-m", "isa-serial", "-p", `COM${number}`, "-t", state, "-v", ...args], env);
  await waitFor(
    async () => ((await agent.log()).includes("started") ? true : undefined),
    AGENT_START_MS,
    async () => `the agent did not start: ${await agent.log()}`,
  );
  return { socketPath, process: agent };
}
