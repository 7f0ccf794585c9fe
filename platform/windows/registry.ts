/** Values of the registry. */
import { advapi32 } from "./advapi32.ts";
import { ERROR, systemError } from "./errors.ts";
import type { Handle } from "./kernel32.ts";
import { fromWide, wide, wideRoom } from "./wide.ts";

export const HKEY_LOCAL_MACHINE: Handle = 0x80000002;
const KEY_READ = 0x20019;
const KEY_WRITE = 0x20006;
const KEY_WOW64_64KEY = 0x100;
const REG_SZ = 1;
const REG_EXPAND_SZ = 2;
const REG_DWORD = 4;
/** Names of keys have at most 255 characters. */
const NAME_ROOM = 256;

function withKey<T>(root: Handle, path: string, use: (key: bigint) => T): T | undefined {
  const out = new BigInt64Array(1);
  if (advapi32.RegOpenKeyExW(root, wide(path), 0, KEY_READ | KEY_WOW64_64KEY, out) !== 0) return undefined;
  const key = out[0] ?? 0n;
  try {
    return use(key);
  } finally {
    advapi32.RegCloseKey(key);
  }
}

/** A text; undefined when there is none. */
export function registryText(path: string, name: string, root = HKEY_LOCAL_MACHINE): string | undefined {
  return withKey(root, path, (key) => {
    const type = new Uint32Array(1);
    const size = new Uint32Array(1);
    if (advapi32.RegQueryValueExW(key, wide(name), null, type, null, size) !== 0) return undefined;
    if (type[0] !== REG_SZ && type[0] !== REG_EXPAND_SZ) return undefined;
    const bytes = Buffer.alloc(size[0] ?? 0);
    if (bytes.byteLength === 0) return "";
    return advapi32.RegQueryValueExW(key, wide(name), null, null, bytes, size) === 0 ? fromWide(bytes) : undefined;
  });
}

/** Names of the keys below a key; empty when there is none. */
export function registryKeys(path: string, root = HKEY_LOCAL_MACHINE): string[] {
  const names = withKey(root, path, (key) => {
    const found: string[] = [];
    const name = wideRoom(NAME_ROOM);
    for (let index = 0; ; index++) {
      const length = new Uint32Array([NAME_ROOM]);
      if (advapi32.RegEnumKeyExW(key, index, name, length, null, null, null, null) !== 0) return found;
      found.push(fromWide(name, 0, (length[0] ?? 0) * 2));
    }
  });
  return names ?? [];
}

/**
 * Writes values below a key, which is made when needed; the empty name is the key's own value. A text with `%NAME%` in
 * it is one that readers expand.
 * @throws SystemError
 */
export function writeRegistry(
  path: string,
  values: Readonly<Record<string, string | number>>,
  root = HKEY_LOCAL_MACHINE,
): void {
  const out = new BigInt64Array(1);
  const made = advapi32.RegCreateKeyExW(root, wide(path), 0, null, 0, KEY_WRITE | KEY_WOW64_64KEY, null, out, null);
  if (made !== 0) throw systemError("RegCreateKeyExW", made, path);
  const key = out[0] ?? 0n;
  try {
    for (const [name, value] of Object.entries(values)) {
      const bytes = typeof value === "string" ? wide(value) : Buffer.from(new Uint32Array([value]).buffer);
      const type = typeof value === "number" ? REG_DWORD : value.includes("%") ? REG_EXPAND_SZ : REG_SZ;
      const code = advapi32.RegSetValueExW(key, wide(name), 0, type, bytes, bytes.byteLength);
      if (code !== 0) throw systemError("RegSetValueExW", code, `${path}\\${name}`);
    }
  } finally {
    advapi32.RegCloseKey(key);
  }
}

/** Removes a key with all that is below it; it need not be there. @throws SystemError */
export function removeRegistry(path: string, root = HKEY_LOCAL_MACHINE): void {
  const code = advapi32.RegDeleteTreeW(root, wide(path));
  if (code !== 0 && code !== ERROR.FILE_NOT_FOUND) throw systemError("RegDeleteTreeW", code, path);
}
