/**
 * Acting on files with the rights of a user (setfsuid(2), setfsgid(2), setgroups(2) of the kernel).
 *
 * All three belong to one thread in the kernel, and the agent touches files in no other: its C library's setgroups
 * would change the whole process.
 */
import { ptr } from "bun:ffi";
import { check, EPERM, libc, systemError } from "./libc.ts";

const SYS_SETGROUPS = process.arch === "arm64" ? 159 : 116;

/** Numbers of a user and of its group. */
export interface Ids {
  readonly uid: number;
  readonly gid: number;
}

function setGroups(groups: readonly number[]): void {
  const list = Uint32Array.from([...groups, 0]);
  check(Number(libc.syscall(SYS_SETGROUPS, groups.length, ptr(list), 0, 0)), "setgroups");
}

/** The calls say nothing about failure: the one that was tried last must be found as the one before. */
function change(call: (id: number) => number, id: number): void {
  call(id);
  if (call(id) >>> 0 !== id) throw systemError("setfsuid", EPERM);
}

/**
 * Does it with the file rights of this user and no other group, and none of root's. It must not wait for anything.
 * A process that is not root keeps its own rights.
 * @throws SystemError when root's groups cannot be laid down; what `action` throws
 */
export function withRightsOf<T>({ uid, gid }: Ids, action: () => T): T {
  if (process.geteuid?.() !== 0 || uid === 0) return action();
  const groups = process.getgroups?.() ?? [];
  setGroups([]);
  try {
    change(libc.setfsgid, gid);
    change(libc.setfsuid, uid);
    return action();
  } finally {
    libc.setfsuid(0);
    libc.setfsgid(process.getegid?.() ?? 0);
    setGroups(groups);
  }
}
