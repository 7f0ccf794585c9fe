/** What is measured, and where: agents on unix sockets, with a processor of their own. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { ensurePackages } from "../test/lab/apt.ts";
import { obtainPeer } from "../test/lab/peer.ts";
import { dieWithParent, mustRun } from "../test/lab/process.ts";
import { type Client, connect } from "./client.ts";
import { type Cores, libc, startingOn } from "./libc.ts";

/**
 * `qemu-ga` is the one that is installed, `qemu-ga 10` one of series 10, for what the other does not know.
 * `empty` is an executable of Bun's around a program that does nothing and ends, `waiting` one that waits for a timer.
 */
export type SubjectName = "qemu-ga" | "qemu-ga 10" | "inguest" | "empty" | "waiting";

export interface Subject {
  readonly name: SubjectName;
  /** The words of its command line, without an agent's options. */
  readonly command: readonly string[];
  readonly version: string;
}

export interface Server {
  readonly pid: number;
  readonly socket: string;
  readonly client: Client;
  stop(): Promise<void>;
}

export interface Lab {
  /** How long one sample may take, in milliseconds. */
  readonly budget: number;
  /** A file of 48 MiB, and a path for what is written; both in memory. */
  readonly data: string;
  readonly output: string;
  /** @throws Error when it cannot be had */
  subject(name: SubjectName): Promise<Subject>;
  /** The agent of that name that runs all the time. */
  server(subject: Subject): Promise<Server>;
  /** One more agent, for one sample. */
  start(subject: Subject, cores?: Cores): Promise<Server>;
  [Symbol.asyncDispose](): Promise<void>;
}

const ROOT = resolve(import.meta.dir, "..");
const MEMORY_DISK = "/dev/shm";
export const DATA_BYTES = 48 * 1024 * 1024;
const START_MS = 10_000;

async function installedPeer(): Promise<Subject> {
  const packages = await ensurePackages(["qemu-guest-agent"]);
  if (!packages.available) throw new Error(packages.reason);
  const banner = await mustRun(["/usr/sbin/qemu-ga", "--version"]);
  return { name: "qemu-ga", command: ["/usr/sbin/qemu-ga"], version: banner.trim().split(" ").at(-1) ?? "" };
}

async function peerOfSeries10(): Promise<Subject> {
  const { command, version } = await obtainPeer();
  return { name: "qemu-ga 10", command, version };
}

/** `$INGUEST_EXECUTABLE`, else the one of these sources. */
async function ours(): Promise<Subject> {
  const given = process.env.INGUEST_EXECUTABLE;
  if (given === undefined) await mustRun([process.execPath, "run", "build.ts", "--target", "linux-x64"], { cwd: ROOT });
  const path = resolve(given ?? join(ROOT, "dist/inguest-linux-x64"));
  const banner = await mustRun([path, "--version"]);
  return { name: "inguest", command: [path], version: banner.trim().split("\ninguest ").at(-1) ?? "" };
}

/** A program of so much code, built as `build.ts` builds ours. */
async function bunExecutable(name: SubjectName, code: string, folder: string): Promise<Subject> {
  const source = join(folder, `${name}.ts`);
  const path = join(folder, name);
  writeFileSync(source, code);
  const { success, logs } = await Bun.build({
    entrypoints: [source],
    target: "bun",
    minify: true,
    bytecode: true,
    compile: {
      target: "bun-linux-x64-baseline",
      outfile: path,
      autoloadDotenv: false,
      autoloadBunfig: false,
      autoloadTsconfig: false,
      autoloadPackageJson: false,
    },
  });
  if (!success) throw new AggregateError(logs, `building ${path} failed`);
  return { name, command: [path], version: Bun.version };
}

/** @throws Error when it does not listen in time */
async function startServer({ name, command }: Subject, folder: string, cores: Cores): Promise<Server> {
  const socket = join(folder, "socket");
  const options = ["-m", "unix-listen", "-p", socket, "-t", folder];
  const child = startingOn(cores, () =>
    Bun.spawn([...dieWithParent, ...command, ...options], { stdin: "ignore", stdout: "ignore", stderr: "inherit" }),
  );
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
    rmSync(folder, { recursive: true, force: true });
  };
  const deadline = performance.now() + START_MS;
  for (;;) {
    try {
      const client = connect(socket);
      client.call("guest-ping");
      return {
        pid: child.pid,
        socket,
        client,
        async stop() {
          client.close();
          await stop();
        },
      };
    } catch (error) {
      if (performance.now() > deadline || child.exitCode !== null) {
        await stop();
        throw new Error(`${name} does not start: ${error instanceof Error ? error.message : error}`);
      }
      libc.usleep(1000);
    }
  }
}

/** @param budget how long one sample may take, in milliseconds */
export async function openLab(budget: number): Promise<Lab> {
  const folder = mkdtempSync(join(tmpdir(), "inguest-bench-"));
  const memory = mkdtempSync(join(existsSync(MEMORY_DISK) ? MEMORY_DISK : tmpdir(), "inguest-bench-"));
  const data = join(memory, "data");
  writeFileSync(data, Buffer.alloc(DATA_BYTES, "The quick brown fox jumps over the lazy dog. "));

  const makers: Readonly<Record<SubjectName, () => Promise<Subject>>> = {
    "qemu-ga": installedPeer,
    "qemu-ga 10": peerOfSeries10,
    inguest: ours,
    empty: () => bunExecutable("empty", "", folder),
    waiting: () => bunExecutable("waiting", "setInterval(() => {}, 2 ** 30);", folder),
  };
  const subjects = new Map<SubjectName, Promise<Subject>>();
  const servers = new Map<SubjectName, Promise<Server>>();
  let started = 0;

  const start: Lab["start"] = (subject, cores = "server") => {
    const state = join(folder, String(started++));
    mkdirSync(state);
    return startServer(subject, state, cores);
  };
  const kept = <K, V>(map: Map<K, Promise<V>>, key: K, make: () => Promise<V>): Promise<V> => {
    const made = map.get(key) ?? make();
    map.set(key, made);
    return made;
  };

  return {
    budget,
    data,
    output: join(memory, "output"),
    subject: (name) => kept(subjects, name, makers[name]),
    server: (subject) => kept(servers, subject.name, () => start(subject)),
    start,
    async [Symbol.asyncDispose]() {
      const running = await Promise.allSettled(servers.values());
      for (const server of running) if (server.status === "fulfilled") await server.value.stop();
      for (const path of [folder, memory]) rmSync(path, { recursive: true, force: true });
    },
  };
}
