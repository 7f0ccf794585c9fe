/**
 * A user's authorized_keys (sshd(8)), in a directory that the user can change at any moment.
 *
 * Whatever lies there, the agent must not be led by it to a file that the user could not reach: everything is opened
 * relative to the directory above and without following links, and is done with the user's own rights. Only where
 * nobody but root can change the directory it is done as root, since the user could do nothing there.
 */
import { CString, type Pointer, ptr, read } from "bun:ffi";
import { fstatSync, type Stats } from "node:fs";
import { SystemError } from "../../src/guest.ts";
import { type Ids, withRightsOf } from "./fs-identity.ts";
import { check, cstring, EINTR, ELOOP, ENOENT, errno, libc, systemError } from "./libc.ts";

const O_RDONLY = 0;
const O_WRONLY = 1;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const O_PATH = 0o10000000;
/** These two differ between processors (asm-generic/fcntl.h and that of arm64). */
const [O_DIRECTORY, O_NOFOLLOW] = process.arch === "arm64" ? [0o40000, 0o100000] : [0o200000, 0o400000];

const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;
const OTHERS_WRITE = 0o022;
const EEXIST = 17;

/** A file that is larger is no list of keys. */
const MAX_SIZE = 16 * 1024 * 1024;

/** struct passwd of both C libraries. */
const PASSWD = { uid: 16, gid: 20, dir: 32 } as const;

const DIRECTORY = ".ssh";
const FILE = "authorized_keys";

interface Account extends Ids {
  readonly home: string;
}

/** @throws SystemError */
function lookUp(user: string): Account {
  const entry = user.includes("\0") ? null : (libc.getpwnam(cstring(user)) as Pointer | null);
  if (entry === null) throw new SystemError("getpwnam", "ENOENT", "no such user", user);
  return {
    uid: read.u32(entry, PASSWD.uid),
    gid: read.u32(entry, PASSWD.gid),
    home: new CString(read.ptr(entry, PASSWD.dir) as Pointer).toString(),
  };
}

const ROOT: Ids = { uid: 0, gid: 0 };

/** With whose rights to act in a directory. */
const rightsIn = ({ uid, mode }: Stats, account: Account): Ids =>
  uid === 0 && (mode & OTHERS_WRITE) === 0 ? ROOT : account;

/** Does it with what was opened, and closes that. */
function using<T>(fd: number, action: (fd: number) => T): T {
  try {
    return action(fd);
  } finally {
    libc.close(fd);
  }
}

/** What is worked on, and the call that errors about it are to show. */
interface Place {
  readonly account: Account;
  readonly call: string;
  readonly path: string;
}

const refusal = ({ call, path }: Place, code: string, reason: string): SystemError =>
  new SystemError(call, code, reason, path);

/**
 * Opens without following a link.
 * @returns -1 when there is nothing
 * @throws SystemError
 */
function openIn(parent: number, name: string, flags: number, place: Place): number {
  const fd = libc.openat(parent, cstring(name), flags | O_NOFOLLOW | O_CLOEXEC, 0);
  if (fd >= 0) return fd;
  const code = errno();
  if (code === ENOENT) return -1;
  throw code === ELOOP ? linkRefusal(place) : systemError(place.call, code, place.path);
}

const linkRefusal = (place: Place): SystemError => refusal(place, "ELOOP", "it is a symbolic link");

/** Refuses what does not belong there. */
function vet(fd: number, place: Place, kind: "file" | "directory"): Stats {
  const stats = fstatSync(fd);
  if (stats.isSymbolicLink()) throw linkRefusal(place);
  if (kind === "file" && !stats.isFile()) throw refusal(place, "EINVAL", "it is not a regular file");
  if (kind === "directory" && !stats.isDirectory()) throw refusal(place, "ENOTDIR", "it is not a directory");
  if (stats.uid !== 0 && stats.uid !== place.account.uid) throw refusal(place, "EPERM", "it belongs to another user");
  return stats;
}

/** Links above the home directory are the administrator's. */
function openHome({ account, call, path }: Place): number {
  return check(libc.open(cstring(account.home), O_PATH | O_DIRECTORY | O_CLOEXEC, 0), call, path);
}

/**
 * Gives ~/.ssh to `action`, which is done with the rights to use in there.
 * @returns undefined when there is none
 */
function inDirectory<T>(home: number, { account, call }: Place, action: (directory: number) => T): T | undefined {
  const place: Place = { account, call, path: sshDirectory(account) };
  const fd = withRightsOf(rightsIn(fstatSync(home), account), () => openIn(home, DIRECTORY, O_PATH, place));
  if (fd < 0) return undefined;
  return using(fd, () => withRightsOf(rightsIn(vet(fd, place, "directory"), account), () => action(fd)));
}

const sshDirectory = ({ home }: Account): string => `${home.replace(/\/+$/, "")}/${DIRECTORY}`;
const keysFile = (account: Account): string => `${sshDirectory(account)}/${FILE}`;

function createDirectory(home: number, account: Account): void {
  const path = sshDirectory(account);
  withRightsOf(rightsIn(fstatSync(home), account), () => {
    if (libc.mkdirat(home, cstring(DIRECTORY), DIRECTORY_MODE) < 0) {
      const code = errno();
      // Somebody else was faster.
      if (code === EEXIST) return;
      throw systemError("mkdir", code, path);
    }
    const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    using(check(libc.openat(home, cstring(DIRECTORY), flags, 0), "mkdir", path), (fd) => {
      check(libc.fchown(fd, account.uid, account.gid), "mkdir", path);
      check(libc.fchmod(fd, DIRECTORY_MODE), "mkdir", path);
    });
  });
}

function readAll(fd: number, place: Place): Uint8Array {
  const { size } = fstatSync(fd);
  // One byte more than there was, so that the end shows.
  const content = Buffer.alloc(Math.min(size, MAX_SIZE) + 1);
  let length = 0;
  for (;;) {
    const count = Number(libc.read(fd, ptr(content, length), content.byteLength - length));
    if (count === 0) return content.subarray(0, length);
    if (count < 0 && errno() === EINTR) continue;
    check(count, place.call, place.path);
    length += count;
    if (length === content.byteLength) throw refusal(place, "EFBIG", "it is too large");
  }
}

function writeAll(fd: number, content: Uint8Array, { call, path }: Place): void {
  let written = 0;
  while (written < content.byteLength) {
    const count = Number(libc.write(fd, ptr(content, written), content.byteLength - written));
    if (count < 0 && errno() === EINTR) continue;
    written += check(count, call, path);
  }
}

/**
 * The content of the user's authorized_keys. A symbolic link, and a file of another user than this one and root, are
 * refused.
 * @throws SystemError of the call `getpwnam` or `read`; the code is ENOENT when there is no such user or file
 */
export function readAuthorizedKeys(user: string): Uint8Array {
  const account = lookUp(user);
  const place: Place = { account, call: "read", path: keysFile(account) };
  const content = using(openHome(place), (home) =>
    inDirectory(home, place, (directory) => {
      // What is no file might block when it is opened, or do something.
      const found = openIn(directory, FILE, O_PATH, place);
      if (found < 0) return undefined;
      using(found, () => vet(found, place, "file"));
      const opened = openIn(directory, FILE, O_RDONLY | O_NONBLOCK, place);
      if (opened < 0) return undefined;
      return using(opened, () => {
        vet(opened, place, "file");
        return readAll(opened, place);
      });
    }),
  );
  if (content === undefined) throw systemError(place.call, ENOENT, place.path);
  return content;
}

/** Writes a new file beside the one to replace. @returns its name */
function writeBeside(directory: number, content: Uint8Array, place: Place): string {
  const { account, call, path } = place;
  const name = `.${FILE}.${Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString("hex")}`;
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  using(check(libc.openat(directory, cstring(name), flags, FILE_MODE), call, path), (fd) => {
    try {
      writeAll(fd, content, place);
      check(libc.fchown(fd, account.uid, account.gid), call, path);
      check(libc.fchmod(fd, FILE_MODE), call, path);
      check(libc.fsync(fd), call, path);
    } catch (error) {
      libc.unlinkat(directory, cstring(name), 0);
      throw error;
    }
  });
  return name;
}

function replaceFile(directory: number, content: Uint8Array, place: Place): void {
  const found = openIn(directory, FILE, O_PATH, place);
  if (found >= 0) using(found, () => vet(found, place, "file"));
  const beside = writeBeside(directory, content, place);
  if (libc.renameat(directory, cstring(beside), directory, cstring(FILE)) < 0) {
    const code = errno();
    libc.unlinkat(directory, cstring(beside), 0);
    throw systemError(place.call, code, place.path);
  }
}

/**
 * Replaces the user's authorized_keys at once, with mode 0600; creates ~/.ssh with mode 0700 when there is none.
 * @throws SystemError of the call `getpwnam`, `mkdir` or `write`
 */
export function writeAuthorizedKeys(user: string, content: Uint8Array): void {
  const account = lookUp(user);
  const place: Place = { account, call: "write", path: keysFile(account) };
  const replace = (home: number): true | undefined =>
    inDirectory(home, place, (directory) => {
      replaceFile(directory, content, place);
      return true;
    });
  using(openHome({ account, call: "mkdir", path: sshDirectory(account) }), (home) => {
    if (replace(home)) return;
    createDirectory(home, account);
    if (!replace(home)) throw systemError("mkdir", ENOENT, sshDirectory(account));
  });
}
