/**
 * The real QEMU guest agent of series 10, to compare with.
 * A machine with Debian 13 or later has it as a package. On an older one the package and its libraries are unpacked
 * into the cache and run with their own dynamic loader, so that the machine's libc does not matter.
 */

import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type AgentOptions, type RunningAgent, startAgent } from "./agent.ts";
import { ensurePackages, osRelease, privateApt, unpackPackages } from "./apt.ts";
import { cachedFolder } from "./cache.ts";
import { mustRun, run } from "./process.ts";

/** Where the real agent is and how it is run. */
export interface Peer {
  /** As in `qemu-ga --version`, for example `10.0.13`. */
  version: string;
  /** The words of the command line before the agent's own options. */
  command: readonly string[];
  /** Path of the executable. */
  program: string;
  /** Path of the dynamic loader that runs it. */
  loader: string;
  /** Folders that hold its libraries; empty if the loader knows them. */
  libraryPath: readonly string[];
}

/** Finds or fetches the real qemu-ga and checks that it runs. Throws an Error which says why it cannot be had. */
export async function obtainPeer(): Promise<Peer> {
  const peer = (await isTrixieOrLater()) ? await installedPeer() : await unpackedPeer();
  const banner = await mustRun([...peer.command, "--version"]);
  const version = /\d+\.\d+\.\d+/.exec(banner)?.[0] ?? banner.trim();
  if (!version.startsWith("10.")) throw new Error(`the peer is qemu-ga ${version}, not of series 10`);
  return { ...peer, version };
}

async function isTrixieOrLater(): Promise<boolean> {
  const { ID, VERSION_ID } = await osRelease();
  return ID === "debian" && Number(VERSION_ID) >= 13;
}

type Unchecked = Omit<Peer, "version">;

async function installedPeer(): Promise<Unchecked> {
  const packages = await ensurePackages(["qemu-guest-agent"]);
  if (!packages.available) throw new Error(packages.reason);
  const program = "/usr/sbin/qemu-ga";
  return { command: [program], program, loader: "/lib64/ld-linux-x86-64.so.2", libraryPath: [] };
}

async function unpackedPeer(): Promise<Unchecked> {
  const folder = await cachedFolder("peer-trixie-amd64", async (draft) => {
    const apt = await privateApt(join(draft, "apt"), "trixie");
    const quiet = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"].map((it) => `--no-${it}`);
    const tree = await mustRun(["apt-cache", ...apt, "depends", "--recurse", ...quiet, "qemu-guest-agent"]);
    // The packages stand at the start of a line, their relations are indented; only libraries are needed to run it.
    const libraries = tree.split("\n").filter((line) => /^lib|^zlib1g/.test(line));
    await unpackPackages(["qemu-guest-agent", ...libraries], join(draft, "root"), apt);
    await rm(join(draft, "apt"), { recursive: true });
  });
  const root = join(folder, "root");
  const libraryPath = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"]
    .map((path) => join(root, path))
    .filter((path) => existsSync(path));
  const loader = libraryPath.map((path) => join(path, "ld-linux-x86-64.so.2")).find((path) => existsSync(path));
  const program = join(root, "usr/sbin/qemu-ga");
  if (loader === undefined) throw new Error(`no dynamic loader in ${root}`);
  return { command: [loader, "--library-path", libraryPath.join(":"), program], program, loader, libraryPath };
}

/** Libraries which the peer loads, as absolute paths on this machine. */
export async function peerLibraries(peer: Peer): Promise<string[]> {
  const path = peer.libraryPath.length === 0 ? [] : ["--library-path", peer.libraryPath.join(":")];
  const { stdout } = await run([peer.loader, ...path, "--list", peer.program]);
  return [...stdout.matchAll(/=> (\/\S+)/g)].map((match) => match[1] ?? "");
}

/** Starts the real agent of series 10 on a unix socket of this machine: see {@link startAgent}. */
export async function startPeer(options: AgentOptions): Promise<RunningAgent> {
  return startAgent((await obtainPeer()).command, options);
}
