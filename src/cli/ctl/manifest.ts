/** What lies in the guest, with sizes and checksums, found out by its own shell. */
import type { Client } from "../client.ts";
import { runScript } from "./programs.ts";
import { TaskError } from "./verb.ts";

export interface GuestFileState {
  /** From the directory that was asked for: `etc/hosts`. */
  readonly name: Buffer;
  readonly size: number;
  /** SHA-256 in hexadecimal; undefined when the guest has no tool for it. */
  readonly hash: string | undefined;
  readonly executable: boolean;
}

export interface GuestTree {
  /** Its absolute path. */
  readonly root: Buffer;
  /** Each before what is in it; without the root itself. */
  readonly directories: readonly Buffer[];
  readonly files: readonly GuestFileState[];
  /** How many things are neither directories nor plain files. */
  readonly others: number;
}

const NOT_A_DIRECTORY = 3;
/** Stands between the parts of a listing: it is no name. */
const SEPARATOR = "/";

const LIST = `
[ -d "$1" ] || exit ${NOT_A_DIRECTORY}
cd -- "$1" || exit
printf '%s\\0' "$PWD"
find . -type d -print0 || exit
printf '${SEPARATOR}\\0'
find . -type f -exec sh -c '
for f; do
  h=$(sha256sum <"$f" 2>/dev/null); h=\${h%% *}
  s=$(wc -c <"$f") || continue
  x=-; [ -x "$f" ] && x=x
  printf "%s %s %s %s\\\\0" "\${h:--}" "$((s))" "$x" "$f"
done' sh {} + || exit
printf '${SEPARATOR}\\0'
find . ! -type d ! -type f -print0
`;

const HASH = `
h=$(head -c "$2" <"$1" | sha256sum) && printf '%s' "\${h%% *}"
`;

const STATE = `
[ -d "$1" ] && exec printf directory
[ -f "$1" ] || exit 0
s=$(wc -c <"$1") || exit
printf 'file %s' "$((s))"
`;

const RECORD = /^(-|[0-9a-f]{64}) (\d+) ([x-]) /;

const NUL = 0;

function splitAtNul(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  let start = 0;
  for (let end = bytes.indexOf(NUL); end >= 0; end = bytes.indexOf(NUL, start)) {
    parts.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return parts;
}

/** `./a/b` as `a/b`. A guest must not be able to name what is outside of the directory. @throws TaskError */
export function innerName(bytes: Buffer): Buffer {
  const text = bytes.toString("latin1");
  const parts = text.split("/");
  const isInner =
    parts[0] === "." && parts.length > 1 && parts.slice(1).every((part) => !["", ".", ".."].includes(part));
  if (!isInner) throw new TaskError(`the guest lists '${bytes.toString("utf8")}', which is not in the directory`);
  return bytes.subarray(2);
}

/** Reads what the script has printed. @throws TaskError */
export function parseListing(output: Buffer): GuestTree {
  const [root, ...rest] = splitAtNul(output);
  const isSeparator = (part: Buffer): boolean => part.toString("latin1") === SEPARATOR;
  const first = rest.findIndex(isSeparator);
  const second = rest.findIndex((part, index) => index > first && isSeparator(part));
  if (root === undefined || first < 0 || second < 0)
    throw new TaskError("the listing of the directory is not complete");
  const files = rest.slice(first + 1, second).map((part) => {
    const found = RECORD.exec(part.toString("latin1"));
    if (found === null) throw new TaskError("the listing of the directory cannot be understood");
    const [head, hash = "-", size, mark] = found;
    return {
      name: innerName(part.subarray(head.length)),
      size: Number(size),
      hash: hash === "-" ? undefined : hash,
      executable: mark === "x",
    };
  });
  const directories = rest
    .slice(0, first)
    .filter((part) => part.toString("latin1") !== ".")
    .map(innerName);
  return { root, directories, files, others: rest.length - second - 1 };
}

/**
 * Lists a directory with all that is in it.
 * @returns undefined when it is none, or when the guest has no shell for us
 * @throws ConnectionError, TaskError
 */
export async function listTree(client: Client, path: string): Promise<GuestTree | undefined> {
  const ended = await runScript(client, LIST, [path]);
  if (ended === undefined || ended.exitCode === NOT_A_DIRECTORY) return undefined;
  if (ended.truncated) throw new TaskError(`${path}: there are too many files in it for one listing`);
  if (ended.exitCode !== 0)
    throw new TaskError(`${path}: ${ended.stderr.toString("utf8").trim() || "cannot be listed"}`);
  return parseListing(ended.stdout);
}

/** SHA-256 of the first bytes of a file; undefined when the guest cannot tell. @throws ConnectionError */
export async function hashInGuest(client: Client, path: string, bytes: number): Promise<string | undefined> {
  const ended = await runScript(client, HASH, [path, String(bytes)]);
  const hash = ended?.exitCode === 0 ? ended.stdout.toString("latin1") : "";
  return /^[0-9a-f]{64}$/.test(hash) ? hash : undefined;
}

/**
 * What a path leads to.
 * @returns a size for a file; `unknown` when the guest has no shell for us
 * @throws ConnectionError
 */
export async function stateInGuest(
  client: Client,
  path: string,
): Promise<"nothing" | "directory" | "unknown" | { readonly size: number }> {
  const ended = await runScript(client, STATE, [path]);
  if (ended?.exitCode !== 0) return "unknown";
  const [kind, size] = ended.stdout.toString("latin1").split(" ");
  if (kind === "directory") return kind;
  return kind === "file" ? { size: Number(size) } : "nothing";
}
