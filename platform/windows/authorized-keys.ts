/** Where Windows' OpenSSH looks for keys: in the user's profile, and for administrators in one file for all of them. */
import type { Pointer } from "bun:ffi";
import { existsSync, lstatSync, mkdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { SystemError } from "../../src/guest.ts";
import { advapi32 } from "./advapi32.ts";
import { check, ERROR, errorName, errorText, lastError, systemError } from "./errors.ts";
import { kernel32 } from "./kernel32.ts";
import { bytesAt } from "./memory.ts";
import { netapi32 } from "./netapi32.ts";
import { registryText } from "./registry.ts";
import { setDescriptor } from "./security.ts";
import { wide, wideAt, wideRoom } from "./wide.ts";

const MAX_SID = 68;
const DOMAIN_ROOM = 256;
/** USER_INFO_1. */
const USER = { size: 56, privilege: 20 } as const;
const USER_PRIV_ADMIN = 2;
const PROFILES = "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\ProfileList";

interface User {
  readonly name: string;
  readonly sid: string;
  readonly administrator: boolean;
}

/** @throws SystemError of the call `getpwnam`, which is what the contract has for an unknown user */
function findUser(name: string): User {
  const sid = Buffer.alloc(MAX_SID);
  const sidSize = new Uint32Array([MAX_SID]);
  const domain = wideRoom(DOMAIN_ROOM);
  const domainSize = new Uint32Array([DOMAIN_ROOM]);
  const use = new Uint32Array(1);
  if (advapi32.LookupAccountNameW(null, wide(name), sid, sidSize, domain, domainSize, use) === 0) {
    const code = lastError();
    throw new SystemError("getpwnam", "ENOENT", errorText(code), name);
  }
  const text = new BigUint64Array(1);
  check(advapi32.ConvertSidToStringSidW(sid, text), "getpwnam", name);
  const pointer = Number(text[0]) as Pointer;
  const sidText = wideAt(pointer);
  kernel32.LocalFree(pointer);
  return { name, sid: sidText, administrator: isAdministrator(name) };
}

function isAdministrator(name: string): boolean {
  const out = new BigUint64Array(1);
  if (netapi32().NetUserGetInfo(null, wide(name), 1, out) !== 0) return false;
  const info = Number(out[0]);
  const privilege = bytesAt(info, USER.size).readUInt32LE(USER.privilege);
  netapi32().NetApiBufferFree(info as Pointer);
  return privilege === USER_PRIV_ADMIN;
}

function keysFile({ name, sid, administrator }: User): string {
  if (administrator) return `${process.env.ProgramData ?? "C:\\ProgramData"}\\ssh\\administrators_authorized_keys`;
  const profile = registryText(`${PROFILES}\\${sid}`, "ProfileImagePath");
  const drive = process.env.SystemDrive ?? "C:";
  const directory = profile?.replace(/%SystemDrive%/i, drive) ?? `${drive}\\Users\\${name}`;
  return `${directory}\\.ssh\\authorized_keys`;
}

/** The system, administrators and, for a key of their own, the user: nobody else may write or read it. */
const descriptorFor = ({ sid, administrator }: User): string =>
  `D:P(A;;FA;;;SY)(A;;FA;;;BA)${administrator ? "" : `(A;;FA;;;${sid})`}`;

/** A link could lead the agent, which may do everything, to any file. */
function refuseLink(call: string, path: string): void {
  for (const part of [dirname(path), path]) {
    if (existsSync(part) && lstatSync(part).isSymbolicLink()) {
      throw new SystemError(call, errorName(ERROR.ACCESS_DENIED), "it is a symbolic link", part);
    }
  }
}

function wording<T>(call: string, path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof SystemError) throw error;
    const name = error instanceof Error && "code" in error ? String(error.code) : "";
    if (name === "ENOENT") throw systemError(call, ERROR.FILE_NOT_FOUND, path);
    throw new SystemError(call, name, error instanceof Error ? error.message : String(error), path);
  }
}

export function readAuthorizedKeys(name: string): Uint8Array {
  const path = keysFile(findUser(name));
  return wording("read", path, () => {
    refuseLink("read", path);
    return readFileSync(path);
  });
}

export function writeAuthorizedKeys(name: string, content: Uint8Array): void {
  const user = findUser(name);
  const path = keysFile(user);
  const directory = dirname(path);
  if (!existsSync(directory)) {
    wording("mkdir", directory, () => {
      mkdirSync(directory);
      setDescriptor(directory, descriptorFor(user));
    });
  }
  wording("write", path, () => {
    refuseLink("write", path);
    // The directory is the user's: a link that lies where the agent is known to write would be followed.
    const beside = `${path}.${crypto.randomUUID()}`;
    writeFileSync(beside, content, { flag: "wx" });
    try {
      setDescriptor(beside, descriptorFor(user));
      renameSync(beside, path);
    } catch (error) {
      unlinkSync(beside);
      throw error;
    }
  });
}
