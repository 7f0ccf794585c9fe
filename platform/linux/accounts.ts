/** Passwords, the keys that open a login, and the host's name. */
import { chmodSync } from "node:fs";
import { type Accounts, runProgram } from "../../src/guest.ts";
import { files } from "./files.ts";
import { lastLogin } from "./last-login.ts";
import { check, libc } from "./libc.ts";
import { processes } from "./processes.ts";
import { findProgram, programBehind } from "./programs.ts";
import { readAuthorizedKeys, writeAuthorizedKeys } from "./ssh-keys.ts";

/**
 * The words that run chpasswd(8), or that of busybox.
 * @param find as `findProgram`; @param behind as `programBehind`
 */
export function chpasswdCommand(
  crypted: boolean,
  find: typeof findProgram = findProgram,
  behind: typeof programBehind = programBehind,
): string[] {
  const program = find("chpasswd");
  const busybox = program === undefined ? find("busybox") : undefined;
  const words = busybox === undefined ? [program ?? "chpasswd"] : [busybox, "chpasswd"];
  if (crypted) return [...words, "-e"];
  // Left to itself busybox makes the oldest kind of hash, which knows 8 characters of a password.
  return behind(words[0]!) === "busybox" ? [...words, "-c", "sha512"] : words;
}

async function setPassword(user: string, password: Uint8Array, crypted: boolean): Promise<void> {
  const input = Buffer.concat([Buffer.from(`${user}:`), password, Buffer.from("\n")]);
  try {
    await runProgram(processes, chpasswdCommand(crypted), { input });
  } finally {
    input.fill(0);
  }
}

/** hostname(5) */
const HOST_NAME_FILE = "/etc/hostname";
const READABLE = 0o644;

function setHostName(name: string): void {
  const bytes = Buffer.from(name);
  check(libc.sethostname(bytes, bytes.byteLength), "sethostname", name);
  files.replaceText(HOST_NAME_FILE, `${name}\n`);
  chmodSync(HOST_NAME_FILE, READABLE);
}

export const accounts: Accounts = {
  setPassword,
  readAuthorizedKeys,
  writeAuthorizedKeys,
  setHostName,
  lastLogin: () => lastLogin(),
};
