/** Passwords, the keys that open a login, and the computer's name. */
import type { Pointer } from "bun:ffi";
import { ptr } from "bun:ffi";
import { type Accounts, AttemptsError } from "../../src/guest.ts";
import { readAuthorizedKeys, writeAuthorizedKeys } from "./authorized-keys.ts";
import { check, errorText } from "./errors.ts";
import { kernel32 } from "./kernel32.ts";
import { netapi32 } from "./netapi32.ts";
import { wide } from "./wide.ts";

/** Codes of the network functions have their texts in a file of their own (lmerr.h). */
const NERR_BASE = 2100;
const MAX_NERR = 2999;
const LOAD_LIBRARY_AS_DATAFILE = 2;
/** USER_INFO_1003: one pointer, to the password. */
const PASSWORD_LEVEL = 1003;
const ComputerNamePhysicalDnsHostname = 5;

function networkErrorText(code: number): string {
  if (code < NERR_BASE || code > MAX_NERR) return errorText(code);
  const messages = kernel32.LoadLibraryExW(wide("netmsg.dll"), 0, LOAD_LIBRARY_AS_DATAFILE);
  if (messages === null) return errorText(code);
  const text = errorText(code, Number(messages));
  kernel32.FreeLibrary(messages);
  return text;
}

async function setPassword(user: string, password: Uint8Array, crypted: boolean): Promise<void> {
  if (crypted) throw new AttemptsError(["'crypted' must be off on this host"]);
  const secret = wide(new TextDecoder().decode(password));
  const info = new BigUint64Array([BigInt(ptr(secret))]);
  const code = netapi32().NetUserSetInfo(null, wide(user), PASSWORD_LEVEL, ptr(info) as Pointer, null);
  // After the call, so that the collector cannot take it before; and no copy of it stays in memory.
  secret.fill(0);
  if (code !== 0) throw new AttemptsError([`failed to set password: ${networkErrorText(code)}`]);
}

export const accounts: Accounts = {
  setPassword,
  readAuthorizedKeys,
  writeAuthorizedKeys,
  setHostName(name) {
    check(kernel32.SetComputerNameExW(ComputerNamePhysicalDnsHostname, wide(name)), "SetComputerNameExW", name);
  },
  lastLogin: () => "",
};
