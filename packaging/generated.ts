/** Files of a package that the program itself prints: manual pages and completions. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const PROGRAM = join(import.meta.dir, "../platform/linux/main.ts");

/** Files by their names, with the words of the command line that print them. */
const PRINTED = {
  "inguest.1": ["man"],
  "inguest-ctl.1": ["man", "ctl"],
  "inguest.bash": ["completion", "bash"],
  "inguest.zsh": ["completion", "zsh"],
  "inguest.fish": ["completion", "fish"],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type Printed = keyof typeof PRINTED;

const isPage = (name: string): boolean => name.endsWith(".1");

/**
 * Writes them into a directory; a manual page also as `NAME.gz`. The sources are run for it, since an executable for
 * another machine cannot be.
 * @throws Error when the program fails
 */
export function printFiles(directory: string): void {
  for (const [name, words] of Object.entries(PRINTED)) {
    const { success, stdout, stderr } = Bun.spawnSync([process.execPath, PROGRAM, ...words]);
    if (!success) throw new Error(`inguest ${words.join(" ")} failed: ${stderr.toString()}`);
    writeFileSync(join(directory, name), stdout);
    if (isPage(name))
      writeFileSync(join(directory, `${name}.gz`), gzipSync(readFileSync(join(directory, name)), { level: 9 }));
  }
}
