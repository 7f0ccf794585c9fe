/** A directory with what tells the installer which kind of system it is, and what is in it. */

import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../lab/process.ts";

/** Every path below a directory with its kind, mode, and content or target. */
export function treeOf(root: string): Record<string, string> {
  const describe = (path: string): string => {
    const found = lstatSync(path);
    const mode = (found.mode & 0o7777).toString(8);
    if (found.isSymbolicLink()) return `link ${readlinkSync(path)}`;
    if (found.isDirectory()) return `directory ${mode}`;
    return found.isFile() ? `file ${mode} ${Bun.hash(readFileSync(path))}` : `device ${mode}`;
  };
  // What a link leads to is not below the directory.
  const below = (directory: string): [string, string][] =>
    readdirSync(join(root, directory), { withFileTypes: true }).flatMap((entry) => {
      const path = `${directory}/${entry.name}`;
      const own: [string, string] = [path, describe(join(root, path))];
      return entry.isDirectory() ? [own, ...below(path)] : [own];
    });
  return Object.fromEntries(below("").sort());
}

export interface System extends AsyncDisposable {
  readonly root: string;
  tree(): Record<string, string>;
}

/** @param commands for sh, in the directory, that make the system what it is */
export async function makeSystem(commands: string): Promise<System> {
  const root = mkdtempSync(join(tmpdir(), "inguest-root-"));
  const { exitCode, stderr } = await run(["sh", "-ec", commands], { cwd: root });
  if (exitCode !== 0) throw new Error(stderr);
  return {
    root,
    tree: () => treeOf(root),
    async [Symbol.asyncDispose]() {
      rmSync(root, { recursive: true });
    },
  };
}
