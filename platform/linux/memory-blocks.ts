/** Memory blocks in `/sys/devices/system/memory` (Documentation/admin-guide/mm/memory-hotplug.rst). */
import { readdirSync } from "node:fs";
import { type MemoryBlock, type MemoryBlockOutcome, type MemoryBlocks, SystemError } from "../../src/guest.ts";
import { check, cstring, ENOENT, errno, libc } from "./libc.ts";
import { readText } from "./sysfs.ts";

const O_RDONLY = 0;
const O_RDWR = 2;
const O_CLOEXEC = 0o2000000;

/** The longest state is `going-offline`. */
const STATE_SIZE = 16;

/** @param root stands before `/sys`, for tests */
export function linuxMemoryBlocks(root = ""): MemoryBlocks {
  const directory = `${root}/sys/devices/system/memory/`;
  return {
    list: () =>
      blockNames(directory)
        .map((name) => blockOf(`${directory}${name}`, Number(name.slice("memory".length))))
        .filter((block) => block !== undefined),
    set: (index, online) => setOnline(directory, index, online),
    blockSize() {
      libc.close(check(libc.open(cstring(directory), O_RDONLY | O_CLOEXEC, 0), "open", directory));
      const path = `${directory}block_size_bytes`;
      const size = Number.parseInt(readText(path) ?? "", 16);
      if (Number.isNaN(size)) throw new SystemError("read", "EIO", "no size there", path);
      return size;
    },
  };
}

/** A kernel without memory hotplug has no such directory, and no blocks. */
function blockNames(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => /^memory\d+$/.test(name));
  } catch {
    return [];
  }
}

/** @returns undefined for a block that was taken away meanwhile */
function blockOf(directory: string, index: number): MemoryBlock | undefined {
  const state = readText(`${directory}/state`);
  if (state === undefined) return isThere(directory) ? { index, online: true, canOffline: false } : undefined;
  const removable = readText(`${directory}/removable`);
  return { index, online: state.startsWith("online"), canOffline: removable !== undefined && removable !== "0" };
}

const isThere = (path: string): boolean => openForNothing(path) === 0;

/** @returns errno, 0 when it can be opened */
function openForNothing(path: string): number {
  const fd = libc.open(cstring(path), O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return errno();
  libc.close(fd);
  return 0;
}

type Result = ReturnType<MemoryBlocks["set"]>;

const failed = (outcome: MemoryBlockOutcome, code: number): Result => ({ outcome, errno: code });

function setOnline(directory: string, index: number | bigint, online: boolean): Result {
  const withoutHotplug = openForNothing(directory);
  if (withoutHotplug !== 0) return failed(missing(withoutHotplug, "operation-not-supported"), withoutHotplug);
  const block = `${directory}memory${index}/`;
  const withoutBlock = openForNothing(block);
  if (withoutBlock !== 0) return failed(missing(withoutBlock, "not-found"), withoutBlock);

  const fd = libc.open(cstring(`${block}state`), O_RDWR | O_CLOEXEC, 0);
  if (fd < 0) {
    const code = errno();
    // An old kernel, where every block is online for good.
    if (code === ENOENT && online) return { outcome: "success" };
    return failed(missing(code, "operation-not-supported"), code);
  }
  const code = switchState(fd, online);
  libc.close(fd);
  return code === 0 ? { outcome: "success" } : failed("operation-failed", code);
}

const missing = (code: number, outcome: MemoryBlockOutcome): MemoryBlockOutcome =>
  code === ENOENT ? outcome : "operation-failed";

/** Writes only what is not so already. @returns errno, 0 when it is as wanted */
function switchState(fd: number, online: boolean): number {
  const state = Buffer.alloc(STATE_SIZE);
  const count = Number(libc.pread(fd, state, state.byteLength, 0));
  if (count < 0) return errno();
  if (state.toString("latin1", 0, count).startsWith("online") === online) return 0;
  const wanted = Buffer.from(online ? "online" : "offline", "latin1");
  return Number(libc.pwrite(fd, wanted, wanted.byteLength, 0)) < 0 ? errno() : 0;
}
