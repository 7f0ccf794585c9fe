/** `inguest ctl pull`: files and directories of the guest, to the host. */
import { createHash } from "node:crypto";
import { closeSync, openSync, renameSync, rmSync } from "node:fs";
import { writeFully } from "../print.ts";
import { checkInterrupted, readToEnd, seekFile, sizeOfFile, withFile } from "./guest-files.ts";
import {
  baseName,
  hashInto,
  hashOf,
  isDirectory,
  joinPath,
  makeDirectory,
  openForWriting,
  partialPath,
  statOf,
} from "./local.ts";
import { type GuestFileState, type GuestTree, hashInGuest, listTree } from "./manifest.ts";
import { createNames, type GuestPath } from "./names.ts";
import { createProgress, type Progress } from "./progress.ts";
import { newTally, type Proof, reportTransfer, type Tally, weaker } from "./report.ts";
import { NO_VERIFY, RESTART } from "./transfer-options.ts";
import { type Context, EXIT, TaskError, type Verb } from "./verb.ts";

const STANDARD_OUTPUT = 1;
const MODE = 0o666;
const EXECUTABLE_MODE = 0o777;

interface Pulling extends Pick<Context, "client" | "interrupted"> {
  readonly progress: Progress;
  readonly verify: boolean;
  readonly restart: boolean;
  readonly tally: Tally;
}

interface Wanted {
  readonly from: GuestPath;
  readonly executable: boolean;
  /** What its checksum was when the directory was listed. */
  readonly hash?: string | undefined;
}

interface Taken {
  /** Bytes that were there from an earlier try. */
  readonly resumed: number;
  readonly total: number;
  readonly hash: string;
  /** The kernel makes such a file up while it is read: it has no length, and is another one each time. */
  readonly isMadeUp: boolean;
}

/** Where a file goes. */
interface Target {
  /** Bytes of it that are there, as far as they are of any use. */
  begun(size: number | undefined): number;
  open(keep: boolean): number;
  readonly seekable: boolean;
}

const partialTarget = (partial: Buffer, keep: boolean, executable: boolean): Target => ({
  begun(size) {
    const found = keep ? statOf(partial) : undefined;
    return found?.isFile() && size !== undefined && found.size <= size ? found.size : 0;
  },
  open: (kept) => openForWriting(partial, kept, executable ? EXECUTABLE_MODE : MODE),
  seekable: true,
});

const outputTarget: Target = { begun: () => 0, open: () => STANDARD_OUTPUT, seekable: false };

function hashBegun(partial: Buffer, count: number) {
  const hash = createHash("sha256");
  if (count === 0) return hash;
  const descriptor = openSync(partial, "r");
  hashInto(hash, descriptor, count);
  closeSync(descriptor);
  return hash;
}

/** Reads a file from where the copy of it ends. */
function fetch(pulling: Pulling, from: GuestPath, target: Target, partial: Buffer): Promise<Taken> {
  const { client, progress, interrupted, tally } = pulling;
  return withFile(client, from.text, "r", async (handle) => {
    const size = await sizeOfFile(client, handle);
    const resumed = target.begun(size);
    const hash = hashBegun(partial, resumed);
    if (resumed > 0) await seekFile(client, handle, resumed, "set");
    const descriptor = target.open(resumed > 0);
    const started = performance.now();
    let total = resumed;
    try {
      progress.begin(from.shown, resumed, size);
      const sink = (bytes: Buffer): void => {
        writeFully(descriptor, bytes, target.seekable ? total : undefined);
        hash.update(bytes);
        total += bytes.byteLength;
        progress.advance(bytes.byteLength);
      };
      await readToEnd(client, handle, sink, interrupted);
    } finally {
      if (target.seekable) closeSync(descriptor);
      tally.bytes += total - resumed;
      tally.seconds += (performance.now() - started) / 1000;
    }
    return { resumed, total, hash: hash.digest("hex"), isMadeUp: !size && total > 0 };
  });
}

/** The checksum of the first bytes, of what comes over the line. */
function hashOnLine({ client, interrupted }: Pulling, from: GuestPath, count: number): Promise<string> {
  return withFile(client, from.text, "r", async (handle) => {
    const hash = createHash("sha256");
    let left = count;
    const sink = (bytes: Buffer): void => {
      hash.update(bytes.subarray(0, left));
      left = Math.max(0, left - bytes.byteLength);
    };
    await readToEnd(client, handle, sink, interrupted);
    return hash.digest("hex");
  });
}

/** @returns undefined when the copy is not like the original */
async function prove(pulling: Pulling, { from, hash }: Wanted, taken: Taken): Promise<Proof | undefined> {
  const { client, progress, verify } = pulling;
  if (!verify || taken.isMadeUp) return "none";
  if (hash === taken.hash) return "checksum";
  progress.say("verifying");
  const theirs = await hashInGuest(client, from.text, taken.total);
  if (theirs !== undefined) return theirs === taken.hash ? "checksum" : undefined;
  return (await hashOnLine(pulling, from, taken.total)) === taken.hash ? "reread" : undefined;
}

/** @returns its checksum */
async function pullFile(pulling: Pulling, wanted: Wanted, path: Buffer): Promise<string> {
  const { tally } = pulling;
  const partial = partialPath(path);
  for (let keep = !pulling.restart; ; keep = false) {
    const taken = await fetch(pulling, wanted.from, partialTarget(partial, keep, wanted.executable), partial);
    const proof = await prove(pulling, wanted, taken);
    if (proof !== undefined) {
      renameSync(partial, path);
      tally.files++;
      tally.resumed += taken.resumed;
      tally.proof = weaker(tally.proof, proof);
      return taken.hash;
    }
    // What was there of an earlier try belonged to another version of the file.
    if (taken.resumed > 0) continue;
    rmSync(partial);
    throw new TaskError(`${wanted.from.shown}: the copy differs: the file was changed while it was read`);
  }
}

async function pullToOutput(pulling: Pulling, from: GuestPath): Promise<void> {
  const taken = await fetch(pulling, from, outputTarget, Buffer.alloc(0));
  if ((await prove(pulling, { from, executable: false }, taken)) === undefined) {
    throw new TaskError(`${from.shown}: what was read differs: the file was changed meanwhile`);
  }
}

const isSame = (path: Buffer, { size, hash }: GuestFileState): boolean => {
  const found = statOf(path);
  return found?.isFile() === true && found.size === size && hash !== undefined && hashOf(path) === hash;
};

async function pullTree(pulling: Pulling, tree: GuestTree, path: Buffer): Promise<void> {
  const { client, progress, restart, interrupted, tally } = pulling;
  const names = createNames(client);
  makeDirectory(path);
  for (const name of tree.directories) makeDirectory(joinPath(path, name));
  try {
    for (const file of tree.files) {
      checkInterrupted(interrupted);
      const target = joinPath(path, file.name);
      progress.begin(file.name.toString("utf8"), 0, file.size);
      if (!restart && isSame(target, file)) {
        tally.unchanged++;
        continue;
      }
      const from = await names.path(joinPath(tree.root, file.name));
      await pullFile(pulling, { ...file, from: { ...from, shown: file.name.toString("utf8") } }, target);
    }
  } finally {
    await names.close();
  }
}

/** A directory that is there takes the file in, as cp(1) has it. */
function fileTarget(local: string | undefined, remote: string): Buffer {
  const name = baseName(remote);
  if (local === undefined) return Buffer.from(name);
  const path = Buffer.from(local);
  return local.endsWith("/") || isDirectory(local) ? joinPath(path, Buffer.from(name)) : path;
}

export const pull = {
  name: "pull",
  summary: "copy a file or a directory of the guest to the host",
  operands: "REMOTE [LOCAL]",
  count: [1, 2],
  handlesSignals: true,
  options: [RESTART, NO_VERIFY],
  details: [
    "LOCAL is the name of REMOTE in the current directory when it is left out. A file goes into LOCAL when that is a directory; what is in a directory goes into LOCAL, which is made when it is missing. A LOCAL of - is standard output, for a file.",
    "Until a file is complete it is kept as LOCAL.partial, and a pull that was interrupted goes on from there. Files of a directory that are the same already are passed over. Symbolic links and devices in a directory are left out.",
    "At the end the SHA-256 checksum is compared with that of sha256sum in the guest, or of reading the file once more where guest-exec cannot be used. Directories need guest-exec and a POSIX shell in the guest.",
  ],
  async run(context) {
    const { client, interrupted, operands } = context;
    const [remote = "", local] = operands;
    const progress = createProgress();
    const tally = newTally(remote);
    const verify = context.option(NO_VERIFY) === undefined;
    const restart = context.option(RESTART) !== undefined;
    const pulling: Pulling = { client, interrupted, progress, verify, restart, tally };
    const from = { text: remote, shown: remote };
    try {
      if (local === "-") {
        await pullToOutput(pulling, from);
        return EXIT.success;
      }
      progress.begin(remote, 0, undefined);
      const tree = await listTree(client, remote);
      if (tree === undefined) {
        tally.sha256 = await pullFile(pulling, { from, executable: false }, fileTarget(local, remote));
      } else {
        await pullTree(pulling, tree, Buffer.from(local ?? baseName(tree.root.toString("utf8"))));
        if (tree.others > 0) {
          progress.end();
          context.note(`${tree.others} in ${remote} are neither files nor directories: left out`);
        }
      }
    } finally {
      progress.end();
    }
    reportTransfer(context, tally);
    return EXIT.success;
  },
} as const satisfies Verb;
