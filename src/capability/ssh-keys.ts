/** The keys that open a login over SSH: lines of a user's authorized_keys (sshd(8)). */
import { type Accounts, SystemError } from "../guest.ts";

/**
 * A file as text in which each character is one byte: what another program has written into it comes out as it went
 * in, whatever its encoding.
 */
const toText = (content: Uint8Array): string => Buffer.from(content).toString("latin1");
const toContent = (text: string): Uint8Array => Buffer.from(text, "latin1");
const keyInFile = (key: string): string => Buffer.from(key).toString("latin1");

/** The lines of the file. @throws SystemError */
function readLines(accounts: Accounts, user: string): string[] {
  const lines = toText(accounts.readAuthorizedKeys(user)).split("\n");
  // The last line ends with a line feed, too.
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** The lines of the file; undefined when there is none. @throws SystemError */
function readLinesIfAny(accounts: Accounts, user: string): string[] | undefined {
  try {
    return readLines(accounts, user);
  } catch (error) {
    if (error instanceof SystemError && error.call === "read" && error.code === "ENOENT") return undefined;
    throw error;
  }
}

const writeLines = (accounts: Accounts, user: string, lines: readonly string[]): void =>
  accounts.writeAuthorizedKeys(user, toContent(lines.map((line) => `${line}\n`).join("")));

/**
 * Keys without comments and blanks around them, the last one first as qemu-ga has it.
 * @throws SystemError
 */
export function listKeys(accounts: Accounts, user: string): string[] {
  return readLines(accounts, user)
    .map((line) =>
      Buffer.from(line, "latin1")
        .toString("utf8")
        .replace(/^[ \t\r\f\v]+|[ \t\r\f\v]+$/g, ""),
    )
    .filter((line) => line !== "" && !line.startsWith("#"))
    .reverse();
}

/**
 * Adds those keys that are not there yet.
 * @param reset forgets all that is there
 * @throws SystemError
 */
export function addKeys(accounts: Accounts, user: string, keys: readonly string[], reset: boolean): void {
  const lines = (reset ? undefined : readLinesIfAny(accounts, user)) ?? [];
  const known = new Set(lines);
  for (const key of keys.map(keyInFile)) {
    if (!known.has(key)) lines.push(key);
    known.add(key);
  }
  writeLines(accounts, user, lines);
}

/** Removes keys; those that are not there do not matter. @throws SystemError */
export function removeKeys(accounts: Accounts, user: string, keys: readonly string[]): void {
  const before = readLinesIfAny(accounts, user);
  if (before === undefined) return;
  const unwanted = new Set(keys.map(keyInFile));
  writeLines(
    accounts,
    user,
    before.filter((line) => !unwanted.has(line)),
  );
}
