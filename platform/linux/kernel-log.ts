/** The kernel's log, as far as its ring buffer goes back (Documentation/ABI/testing/dev-kmsg). */
import { cstring, EINTR, EPIPE, errno, libc } from "./libc.ts";

const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
/** The kernel never gives a longer record. */
const record = Buffer.alloc(8192);

/** Calls back with each record: `priority,sequence,microseconds,flags;text`. */
function eachRecord(visit: (text: string) => void): void {
  const fd = libc.open(cstring("/dev/kmsg"), O_NONBLOCK | O_CLOEXEC, 0);
  if (fd < 0) return;
  for (;;) {
    const count = Number(libc.read(fd, record, record.byteLength));
    if (count > 0) visit(record.toString("utf8", 0, count));
    // EPIPE: older records were overwritten meanwhile; the next read goes on behind the gap.
    else if (count === 0 || ![EINTR, EPIPE].includes(errno())) break;
  }
  libc.close(fd);
}

/** What the kernel says, in its various versions, when it has ended a process for want of memory. */
const KILLED = /;(?:Memory cgroup out|Out) of memory(?: \([^)]*\))?: Kill/;

/** @returns whether a record of the log tells of a process that was killed for want of memory */
export const tellsOfOom = (text: string): boolean => KILLED.test(text);

/** How many such records the log has; none when it cannot be read. */
export function killedForMemory(): number {
  let count = 0;
  eachRecord((text) => {
    if (tellsOfOom(text)) count++;
  });
  return count;
}
