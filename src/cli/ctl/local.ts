/** Files of the host, by paths that are bytes. Errors are those of the file system, with a `syscall`. */
import { createHash, type Hash } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  type Stats,
  statSync,
} from "node:fs";
import { TaskError } from "./verb.ts";

const PIECE = 1 << 20;
const SLASH = Buffer.from("/");
const PARTIAL = Buffer.from(".partial");

export const joinPath = (folder: Buffer, name: Buffer): Buffer => Buffer.concat([folder, SLASH, name]);

/** Where a file is kept until it is complete. */
export const partialPath = (path: Buffer): Buffer => Buffer.concat([path, PARTIAL]);

/** A path without what is before its last slash. */
export function baseName(path: string): string {
  const trimmed = path.replace(/[\\/]+$/, "");
  return trimmed.slice(Math.max(trimmed.lastIndexOf("/"), trimmed.lastIndexOf("\\")) + 1);
}

/** What is there, links not followed; undefined for nothing. */
export const statOf = (path: Buffer): Stats | undefined => lstatSync(path, { throwIfNoEntry: false });

/** Whether a path leads to a directory. */
export const isDirectory = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** Adds the bytes of a file from its beginning, as many as `count` at most. */
export function hashInto(hash: Hash, descriptor: number, count: number): void {
  const buffer = Buffer.allocUnsafe(PIECE);
  for (let done = 0; done < count; ) {
    const read = readSync(descriptor, buffer, 0, Math.min(PIECE, count - done), done);
    if (read === 0) return;
    hash.update(buffer.subarray(0, read));
    done += read;
  }
}

/** SHA-256 of a file, or of its first bytes. @throws Error of the file system */
export function hashOf(path: Buffer, count = Infinity): string {
  const descriptor = openSync(path, "r");
  try {
    const hash = createHash("sha256");
    hashInto(hash, descriptor, count);
    return hash.digest("hex");
  } finally {
    closeSync(descriptor);
  }
}

/** Opens for writing what is there or a new file; a link in its place is refused. */
export function openForWriting(path: Buffer, keep: boolean, mode: number): number {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW = 0 } = constants;
  return openSync(path, O_WRONLY | O_CREAT | O_NOFOLLOW | (keep ? 0 : O_TRUNC), mode);
}

/** Makes a directory; a link in its place is refused: a guest could have had it made. @throws TaskError */
export function makeDirectory(path: Buffer): void {
  const found = statOf(path);
  if (found === undefined) mkdirSync(path);
  else if (!found.isDirectory()) throw new TaskError(`${path.toString("utf8")} is there, and no directory`);
}

export interface LocalFile {
  readonly name: Buffer;
  readonly size: number;
  /** Permission bits. */
  readonly mode: number;
}

export interface LocalTree {
  /** Each before what is in it; without the root itself. */
  readonly directories: readonly Buffer[];
  readonly files: readonly LocalFile[];
  readonly others: number;
}

const PERMISSIONS = 0o777;

/** All that is in a directory; links are not followed. */
export function walk(root: Buffer): LocalTree {
  const directories: Buffer[] = [];
  const files: LocalFile[] = [];
  let others = 0;
  const visit = (folder: Buffer | undefined): void => {
    for (const entry of readdirSync(folder === undefined ? root : joinPath(root, folder), { encoding: "buffer" })) {
      const name = folder === undefined ? entry : joinPath(folder, entry);
      const found = statOf(joinPath(root, name));
      if (found?.isDirectory()) {
        directories.push(name);
        visit(name);
      } else if (found?.isFile()) files.push({ name, size: found.size, mode: found.mode & PERMISSIONS });
      else others++;
    }
  };
  visit(undefined);
  return { directories, files, others };
}

/** The size of an open file; undefined of a pipe or a terminal. */
export function sizeOf(descriptor: number): number | undefined {
  const found = fstatSync(descriptor);
  return found.isFile() ? found.size : undefined;
}
