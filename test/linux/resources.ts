/** What a running process takes of this machine, as proc(5) tells it. */
import { readdirSync, readFileSync } from "node:fs";

/** KiB of a field of /proc/PID/status, such as `RssAnon`. */
export function statusField(pid: number, name: string): number {
  const found = new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/status`, "latin1"));
  if (found === null) throw new Error(`/proc/${pid}/status has no ${name}`);
  return Number(found[1]);
}

/** How often threads of a process were switched to or from, all that there are now taken together. */
export function contextSwitches(pid: number): number {
  return readdirSync(`/proc/${pid}/task`)
    .flatMap((task) =>
      [...readFileSync(`/proc/${pid}/task/${task}/status`, "latin1").matchAll(/ctxt_switches:\s+(\d+)/g)].map(countOf),
    )
    .reduce((sum, count) => sum + count, 0);
}

const countOf = ([, digits]: RegExpExecArray): number => Number(digits);

/** Clock ticks that a process has run, in its own code and in the kernel. */
export function processorTicks(pid: number): number {
  const [, behindName = ""] = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ");
  const [userTime = 0, systemTime = 0] = behindName.split(" ").slice(11, 13).map(Number);
  return userTime + systemTime;
}
