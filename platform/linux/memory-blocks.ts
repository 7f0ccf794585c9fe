/** Memory blocks in `/sys/devices/system/memory` (Documentation/admin-guide/mm/memory-hotplug.rst). */
import { type MemoryBlock, type MemoryBlockOutcome, type MemoryBlocks, SystemError } from "../../src/guest.ts";
import { cstring, ENOENT, errno, libc } from "./libc.ts";
import { listNames, openDirectory, readBytes, readText } from "./sysfs.ts";

const F_OK = 0;
const O_RDONLY = 0;
const O_WRONLY = 1;
const O_CLOEXEC = 0o2000000;

/** The longest state is `going-offline`. */
const STATE_SIZE = 16;
const NOT_REMOVABLE = "0".charCodeAt(0);

/** @param root stands before `/sys`, for tests */
export function linuxMemoryBlocks(root = ""): MemoryBlocks {
  const directory = `${root}/sys/devices/system/memory/`;
  return {
    list: () => listBlocks(directory),
    set: (index, online) => setOnline(directory, index, online),
    blockSize() {
      const path = `${directory}block_size_bytes`;
      const text = readText(path);
      if (text === undefined) libc.close(openDirectory(directory));
      const size = Number.parseInt(text ?? "", 16);
      if (Number.isNaN(size)) throw new SystemError("read", "EIO", "no size there", path);
      return size;
    },
  };
}

/** A kernel without memory hotplug has no such directory, and no blocks. */
function listBlocks(directory: string): MemoryBlock[] {
  let fd: number;
  try {
    fd = openDirectory(directory);
  } catch (error) {
    if (error instanceof SystemError && error.code === "ENOENT") return [];
    throw error;
  }
  try {
    return listNames(directory)
      .filter((name) => /^memory\d+$/.test(name))
      .map((name) => blockOf(fd, name))
      .filter((block) => block !== undefined);
  } finally {
    libc.close(fd);
  }
}

/** @returns undefined for a block that was taken away meanwhile */
function blockOf(directory: number, name: string): MemoryBlock | undefined {
  const index = Number(name.slice("memory".length));
  const state = readBytes(`${name}/state`, directory);
  if (state === undefined) {
    // An old kernel, where every block is online for good.
    return readBytes(`${name}/uevent`, directory) && { index, online: true, canOffline: false };
  }
  const online = isOnline(state);
  const removable = readBytes(`${name}/removable`, directory);
  return { index, online, canOffline: removable !== undefined && removable[0] !== NOT_REMOVABLE };
}

const isOnline = (state: Buffer): boolean => state.toString("latin1", 0, 6) === "online";

type Result = ReturnType<MemoryBlocks["set"]>;

const failed = (outcome: MemoryBlockOutcome, code: number): Result => ({ outcome, errno: code });

function setOnline(directory: string, index: number | bigint, online: boolean): Result {
  const block = `${directory}memory${index}/`;
  const code = switchState(`${block}state`, online);
  if (code === 0) return { outcome: "success" };
  if (code !== ENOENT) return failed("operation-failed", code);
  if (!isThere(directory)) return failed("operation-not-supported", ENOENT);
  if (!isThere(block)) return failed("not-found", ENOENT);
  // An old kernel, where every block is online for good.
  return online ? { outcome: "success" } : failed("operation-not-supported", ENOENT);
}

const isThere = (path: string): boolean => libc.access(cstring(path), F_OK) === 0;

/** Writes only what is not so already. @returns errno, 0 when it is as wanted */
function switchState(path: string, online: boolean): number {
  const state = Buffer.alloc(STATE_SIZE);
  const code = withFile(path, O_RDONLY, (fd) => libc.read(fd, state, state.byteLength));
  if (code !== 0 || isOnline(state) === online) return code;
  const wanted = Buffer.from(online ? "online" : "offline", "latin1");
  return withFile(path, O_WRONLY, (fd) => libc.write(fd, wanted, wanted.byteLength));
}

/** Opens a file for one call. @returns errno of what failed, 0 when nothing did */
function withFile(path: string, mode: number, call: (fd: number) => number | bigint): number {
  const fd = libc.open(cstring(path), mode | O_CLOEXEC, 0);
  if (fd < 0) return errno();
  const code = Number(call(fd)) < 0 ? errno() : 0;
  libc.close(fd);
  return code;
}
