/** A folder that stands before `/sys`, `/proc` and `/run`, for hardware that is not in this machine. */

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";

/** Paths from the folder's root: a string is a file's content, `link` leads to another path of the tree. */
export type Tree = Readonly<Record<string, string | Uint8Array | { readonly link: string }>>;

export interface FileTree extends Disposable {
  /** Goes in front of every path. */
  readonly root: string;
  /** Adds more, or other content for a file. */
  add(tree: Tree): void;
}

/** Makes it. Links are relative, as those of sysfs are. */
export function fileTree(tree: Tree): FileTree {
  const root = mkdtempSync(join(tmpdir(), "inguest-tree-"));
  const add = (more: Tree): void => {
    for (const [path, content] of Object.entries(more)) {
      const full = root + path;
      const folder = path.endsWith("/") ? full : dirname(full);
      mkdirSync(folder, { recursive: true });
      if (path.endsWith("/")) continue;
      if (typeof content === "string" || content instanceof Uint8Array) writeFileSync(full, content);
      else symlinkSync(relative(dirname(full), root + content.link), full);
    }
  };
  add(tree);
  return { root, add, [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }) };
}
