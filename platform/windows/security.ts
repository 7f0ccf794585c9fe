/** Who may do what: security descriptors that keep users out, and privileges of this process. */
import { type Pointer, ptr } from "bun:ffi";
import { advapi32, advapi32Questions } from "./advapi32.ts";
import { check, ERROR, lastError, systemError } from "./errors.ts";
import { type Handle, kernel32 } from "./kernel32.ts";
import { wide } from "./wide.ts";

/** Only the system and administrators, for what is in it too; nothing is inherited from above. */
const PRIVATE = "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)";
const SDDL_REVISION = 1;

/** SECURITY_ATTRIBUTES (minwinbase.h). */
const ATTRIBUTES = { size: 24, descriptor: 8, inherit: 16 } as const;

let descriptor: Pointer | undefined;

/** A security descriptor from its text (SDDL). It is to be freed by LocalFree. @throws SystemError */
function descriptorOf(text: string): Pointer {
  const out = new BigUint64Array(1);
  check(
    advapi32.ConvertStringSecurityDescriptorToSecurityDescriptorW(wide(text), SDDL_REVISION, out, null),
    "ConvertStringSecurityDescriptorToSecurityDescriptorW",
  );
  return Number(out[0]) as Pointer;
}

/** A security descriptor that lets only the system and administrators in; it lives as long as the process. */
function privateDescriptor(): Pointer {
  descriptor ??= descriptorOf(PRIVATE);
  return descriptor;
}

const DACL_SECURITY_INFORMATION = 4;
const PROTECTED_DACL_SECURITY_INFORMATION = 0x80000000;

/** Says who may use a file or directory. @param text as SDDL. @throws SystemError */
export function setDescriptor(path: string, text: string): void {
  const made = descriptorOf(text);
  const set = advapi32.SetFileSecurityW(
    wide(path),
    (DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION) >>> 0,
    made,
  );
  const code = lastError();
  kernel32.LocalFree(made);
  if (set === 0) throw systemError("SetFileSecurityW", code, path);
}

/** Closes a directory, and what will be made in it, to everybody but the system and administrators. @throws SystemError */
export const closeToUsers = (path: string): void => setDescriptor(path, PRIVATE);

function attributes(securityDescriptor: Pointer | 0, inherit: boolean): Buffer {
  const bytes = Buffer.alloc(ATTRIBUTES.size);
  bytes.writeUInt32LE(ATTRIBUTES.size, 0);
  bytes.writeBigUInt64LE(BigInt(securityDescriptor), ATTRIBUTES.descriptor);
  bytes.writeInt32LE(Number(inherit), ATTRIBUTES.inherit);
  return bytes;
}

/** SECURITY_ATTRIBUTES for something that users have no business with. @throws SystemError */
export const privateSecurity = (): Buffer => attributes(privateDescriptor(), false);

/** SECURITY_ATTRIBUTES for a handle that a child inherits. */
export const inheritedSecurity = (): Buffer => attributes(0, true);

const TOKEN_QUERY = 8;
const TOKEN_ADJUST_PRIVILEGES = 0x20;
const SE_PRIVILEGE_ENABLED = 2;
/** TOKEN_PRIVILEGES with one entry: count, LUID, attributes. */
const TOKEN_PRIVILEGES = { size: 16, luid: 4, attributes: 12 } as const;

/** TOKEN_INFORMATION_CLASS. */
const TokenElevation = 20;

/** @throws SystemError */
function withToken<T>(access: number, use: (token: Handle) => T): T {
  const out = new BigInt64Array(1);
  check(advapi32.OpenProcessToken(kernel32.GetCurrentProcess(), access, out), "OpenProcessToken");
  const token = Number(out[0]);
  try {
    return use(token);
  } finally {
    kernel32.CloseHandle(token);
  }
}

/** Whether this process has an administrator's rights, and not only the name. @throws SystemError */
export const isElevated = (): boolean =>
  withToken(TOKEN_QUERY, (token) => {
    const elevation = new Uint32Array(1);
    check(
      advapi32Questions().GetTokenInformation(token, TokenElevation, elevation, 4, new Uint32Array(1)),
      "GetTokenInformation",
    );
    return elevation[0] !== 0;
  });

/** Switches a privilege on that this process has but does not use: `SeShutdownPrivilege`. @throws SystemError */
export function acquirePrivilege(name: string): void {
  withToken(TOKEN_QUERY | TOKEN_ADJUST_PRIVILEGES, (token) => {
    const wanted = Buffer.alloc(TOKEN_PRIVILEGES.size);
    wanted.writeUInt32LE(1, 0);
    const luid = (Number(ptr(wanted)) + TOKEN_PRIVILEGES.luid) as Pointer;
    check(advapi32.LookupPrivilegeValueW(null, wide(name), luid), "LookupPrivilegeValueW", name);
    wanted.writeUInt32LE(SE_PRIVILEGE_ENABLED, TOKEN_PRIVILEGES.attributes);
    check(advapi32.AdjustTokenPrivileges(token, 0, wanted, 0, null, null), "AdjustTokenPrivileges", name);
    // It succeeds even when the process does not have the privilege.
    if (lastError() === ERROR.NOT_ALL_ASSIGNED)
      throw systemError("AdjustTokenPrivileges", ERROR.NOT_ALL_ASSIGNED, name);
  });
}
