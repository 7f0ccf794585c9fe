/** `inguest ctl push`: files and directories of the host, to the guest. */
import { createHash, type Hash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import type { Client } from "../client.ts";
import { checkInterrupted, readToEnd, seekFile, withFile, writeAll } from "./guest-files.ts";
import { baseName, hashInto, hashOf, isDirectory, joinPath, type LocalFile, sizeOf, statOf, walk } from "./local.ts";
import { type GuestFileState, hashInGuest, listTree, stateInGuest } from "./manifest.ts";
import { createNames, type GuestPath } from "./names.ts";
import { runScript } from "./programs.ts";
import { createProgress, type Progress } from "./progress.ts";
import { newTally, type Proof, reportTransfer, type Tally, weaker } from "./report.ts";
import { NO_VERIFY, RESTART } from "./transfer-options.ts";
import { type Context, EXIT, TaskError, UsageError, type Verb } from "./verb.ts";

const STANDARD_INPUT = 0;
const PERMISSIONS = 0o777;

interface Pushing extends Pick<Context, "client" | "interrupted"> {
  readonly progress: Progress;
  readonly verify: boolean;
  readonly restart: boolean;
  readonly tally: Tally;
}

/** Makes a file that is not there with the permissions of ours: the agent itself would let everybody write it. */
const MAKE_FILE = '[ -e "$1" ] || { umask 077; : >"$1" && chmod "$2" "$1"; }';

/** The same for a directory, and for pairs of a mode (`d` for a directory) and a name on standard input. */
const MAKE_TREE = `
mkdir -p -- "$1" && cd -- "$1" && exec xargs -0 -n 200 sh -c '
while [ $# -gt 1 ]; do
  if [ "$1" = d ]; then mkdir -p -- "./$2"
  elif [ ! -e "./$2" ]; then (umask 077; : >"./$2") && chmod "$1" "./$2"
  fi || exit 255
  shift 2
done' sh
`;

/** Writes what comes from a descriptor. @param hash takes the bytes in too */
async function send(
  { client, progress, interrupted, tally }: Pushing,
  to: GuestPath,
  descriptor: number,
  resumed: number,
  hash: Hash,
): Promise<number> {
  const started = performance.now();
  let room = Buffer.alloc(0);
  let total = resumed;
  const position = sizeOf(descriptor) === undefined ? undefined : resumed;
  const source = (most: number): Buffer => {
    if (room.byteLength < most) room = Buffer.allocUnsafe(most);
    const at = position === undefined ? null : total;
    const read = readSync(descriptor, room, 0, most, at);
    const bytes = room.subarray(0, read);
    hash.update(bytes);
    total += read;
    return bytes;
  };
  const written = (bytes: number): void => {
    tally.bytes += bytes;
    progress.advance(bytes);
  };
  try {
    await withFile(client, to.text, resumed > 0 ? "r+" : "w", async (handle) => {
      if (resumed > 0) await seekFile(client, handle, resumed, "set");
      await writeAll(client, handle, source, written, interrupted);
      await client.call("guest-file-flush", { handle });
    });
  } finally {
    tally.seconds += (performance.now() - started) / 1000;
  }
  return total;
}

/** @returns undefined when the guest has something else */
async function prove(pushing: Pushing, to: GuestPath, total: number, hash: string): Promise<Proof | undefined> {
  const { client, progress, interrupted, verify } = pushing;
  if (!verify) return "none";
  progress.say("verifying");
  const theirs = await hashInGuest(client, to.text, total);
  if (theirs !== undefined) return theirs === hash ? "checksum" : undefined;
  const again = createHash("sha256");
  await withFile(client, to.text, "r", (handle) =>
    readToEnd(client, handle, (bytes) => again.update(bytes), interrupted),
  );
  return again.digest("hex") === hash ? "reread" : undefined;
}

/** What the guest has of a file. */
interface Present {
  readonly size: number;
  /** Of all of it; looked up when it is not known. */
  readonly hash?: string | undefined;
}

/** How many bytes at the beginning are the same, when the guest has just these. */
async function commonBytes(
  client: Client,
  local: Buffer,
  size: number,
  to: GuestPath,
  present: Present,
): Promise<number> {
  if (present.size === 0 || present.size > size) return 0;
  const theirs = present.hash ?? (await hashInGuest(client, to.text, present.size));
  return theirs !== undefined && theirs === hashOf(local, present.size) ? present.size : 0;
}

/** @returns its checksum */
async function pushFile(pushing: Pushing, local: Buffer, to: GuestPath, present: Present | undefined): Promise<string> {
  const { client, progress, restart, tally } = pushing;
  const descriptor = openSync(local, "r");
  try {
    const size = sizeOf(descriptor) ?? 0;
    const resumed = restart || present === undefined ? 0 : await commonBytes(client, local, size, to, present);
    const hash = createHash("sha256");
    hashInto(hash, descriptor, resumed);
    if (resumed > 0 && resumed === size) {
      tally.unchanged++;
      return hash.digest("hex");
    }
    progress.begin(to.shown, resumed, size);
    const total = await send(pushing, to, descriptor, resumed, hash);
    const digest = hash.digest("hex");
    const proof = await prove(pushing, to, total, digest);
    if (proof === undefined) throw new TaskError(`${to.shown}: the guest has something else than was sent`);
    tally.files++;
    tally.resumed += resumed;
    tally.proof = weaker(tally.proof, proof);
    return digest;
  } finally {
    closeSync(descriptor);
  }
}

async function pushInput(pushing: Pushing, to: GuestPath): Promise<string> {
  const hash = createHash("sha256");
  pushing.progress.begin(to.shown, 0, undefined);
  const total = await send(pushing, to, STANDARD_INPUT, 0, hash);
  const digest = hash.digest("hex");
  const proof = await prove(pushing, to, total, digest);
  if (proof === undefined) throw new TaskError(`${to.shown}: the guest has something else than was sent`);
  pushing.tally.files++;
  pushing.tally.proof = proof;
  return digest;
}

async function pushOne(context: Context, pushing: Pushing, local: string, remote: string): Promise<string> {
  const { client } = context;
  const isInput = local === "-";
  if (isInput && remote.endsWith("/")) throw new UsageError("standard input needs the name of a file");
  const found = remote.endsWith("/") ? "directory" : await stateInGuest(client, remote);
  const path = found === "directory" && !isInput ? `${remote.replace(/\/+$/, "")}/${baseName(local)}` : remote;
  const state = path === remote ? found : await stateInGuest(client, path);
  const to = { text: path, shown: path };
  if (isInput) return pushInput(pushing, to);
  if (state === "nothing") {
    const mode = (statOf(Buffer.from(local))?.mode ?? 0) & PERMISSIONS;
    await runScript(client, MAKE_FILE, [path, mode.toString(8)]);
  }
  if (state === "unknown")
    context.note(`no shell in the guest for us: if ${path} is new, everybody there may write it`);
  return pushFile(pushing, Buffer.from(local), to, typeof state === "object" ? state : undefined);
}

/** Makes directories, and empty files with their permissions. */
async function makeTree(client: Client, root: string, directories: readonly Buffer[], files: readonly LocalFile[]) {
  const NUL = Buffer.from("\0");
  const records = [
    ...directories.map((name) => Buffer.concat([Buffer.from("d\0"), name, NUL])),
    ...files.map(({ name, mode }) => Buffer.concat([Buffer.from(`${mode.toString(8)}\0`), name, NUL])),
  ];
  // xargs runs its program once when there is nothing to do, which does no harm.
  do {
    const batch: Buffer[] = [];
    for (let size = 0; records[0] !== undefined && size + records[0].byteLength <= client.limits.write; ) {
      const record = records.shift()!;
      batch.push(record);
      size += record.byteLength;
    }
    const ended = await runScript(client, MAKE_TREE, [root], Buffer.concat(batch));
    if (ended === undefined) throw new TaskError("a directory needs guest-exec and a POSIX shell in the guest");
    if (ended.exitCode !== 0)
      throw new TaskError(`${root}: ${ended.stderr.toString("utf8").trim() || "cannot be made"}`);
  } while (records.length > 0);
}

async function pushTree(context: Context, pushing: Pushing, local: string, remote: string): Promise<void> {
  const { client, interrupted } = context;
  const root = Buffer.from(local);
  const { directories, files, others } = walk(root);
  await makeTree(client, remote, directories, files);
  const tree = await listTree(client, remote);
  const present = new Map<string, GuestFileState>(tree?.files.map((file) => [file.name.toString("latin1"), file]));
  const names = createNames(client);
  try {
    for (const { name, size } of files) {
      checkInterrupted(interrupted);
      const there = present.get(name.toString("latin1"));
      // It was made just now.
      if (size === 0 && there?.size === 0) {
        pushing.tally.files++;
        continue;
      }
      const to = await names.path(joinPath(tree?.root ?? Buffer.from(remote), name));
      await pushFile(pushing, joinPath(root, name), { ...to, shown: name.toString("utf8") }, there);
    }
  } finally {
    await names.close();
  }
  if (others === 0) return;
  pushing.progress.end();
  context.note(`${others} in ${local} are neither files nor directories: left out`);
}

export const push = {
  name: "push",
  summary: "copy a file or a directory of the host to the guest",
  operands: "LOCAL REMOTE",
  count: [2, 2],
  handlesSignals: true,
  options: [RESTART, NO_VERIFY],
  details: [
    "A file goes into REMOTE when that is a directory; what is in a directory goes into REMOTE, which is made when it is missing. A LOCAL of - is standard input. New files get the permissions of ours, files that are there keep theirs. Symbolic links and devices in a directory are left out.",
    "Where the guest has the beginning of a file already, and the checksums of these parts are the same, only the rest is sent; a file that is the same is passed over.",
    "At the end the SHA-256 checksum is compared with that of sha256sum in the guest, or of reading the file back where guest-exec cannot be used. Directories need guest-exec and a POSIX shell in the guest.",
  ],
  async run(context) {
    const { client, interrupted, operands } = context;
    const [local = "", remote = ""] = operands;
    const progress = createProgress();
    const tally = newTally(remote);
    const verify = context.option(NO_VERIFY) === undefined;
    const restart = context.option(RESTART) !== undefined;
    const pushing: Pushing = { client, interrupted, progress, verify, restart, tally };
    progress.begin(local, 0, undefined);
    try {
      if (local !== "-" && isDirectory(local)) {
        await pushTree(context, pushing, local, remote);
      } else tally.sha256 = await pushOne(context, pushing, local, remote);
    } finally {
      progress.end();
    }
    reportTransfer(context, tally);
    return EXIT.success;
  },
} as const satisfies Verb;
