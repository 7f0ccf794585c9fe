/** Where programs are. An agent that a minimal init has started may have no PATH, or one without the sbin directories. */
import { realpathSync } from "node:fs";
import { basename } from "node:path";
import { cstring, libc } from "./libc.ts";

const X_OK = 1;
const USUAL = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** The file of the first of these programs that is installed; a name with a slash is a file of its own. */
export function findProgram(...names: readonly string[]): string | undefined {
  const directories = [...(process.env.PATH ?? "").split(":").filter((path) => path.startsWith("/")), ...USUAL];
  return names
    .flatMap((name) => (name.includes("/") ? [name] : directories.map((directory) => `${directory}/${name}`)))
    .find((file) => libc.access(cstring(file), X_OK) === 0);
}

/** The name of the executable that a program's file leads to: many programs are links to busybox or systemctl. */
export function programBehind(file: string): string {
  try {
    return basename(realpathSync(file));
  } catch {
    return basename(file);
  }
}
