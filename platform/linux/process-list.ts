/** The processes that run (proc_pid_stat(5), proc_pid_status(5)). */
import { readdirSync } from "node:fs";
import type { ProcessFacts } from "../../src/guest.ts";
import { textOf } from "./whole-file.ts";

/** Fields of /proc/<pid>/stat after the command, from 0. */
const STAT = { state: 0, userTicks: 11, systemTicks: 12, priority: 15, nice: 16, startTicks: 19 } as const;
/** USER_HZ of x86 and arm64. */
const TICKS_PER_SECOND = 100;

/** User names by number, of passwd(5). */
export function parsePasswd(text: string): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [name = "", , uid] = line.split(":");
    if (uid !== undefined && !names.has(uid)) names.set(uid, name);
  }
  return names;
}

/** Lines of /proc/<pid>/status; kernel threads have none about memory. */
const EFFECTIVE_UID = /^Uid:\s*\d+\s+(\d+)/m;
const VIRTUAL = /^VmSize:\s*(\d+)/m;
const RESIDENT = /^VmRSS:\s*(\d+)/m;
const FROM_FILES = /^RssFile:\s*(\d+)/m;
const FROM_SHARED_MEMORY = /^RssShmem:\s*(\d+)/m;

/** @param uptime seconds since boot */
export function parseProcess(
  stat: string,
  status: string,
  users: ReadonlyMap<string, string>,
  uptime: number,
): ProcessFacts | undefined {
  // The command may have spaces and parentheses in it.
  const open = stat.indexOf("(");
  const close = stat.lastIndexOf(")");
  if (open < 0 || close < open) return undefined;
  const field = stat.slice(close + 2).split(" ");
  const number = (index: number): number => Number(field[index] ?? 0);
  const kibibytes = (line: RegExp): number => Number(line.exec(status)?.[1] ?? 0);
  const uid = EFFECTIVE_UID.exec(status)?.[1] ?? "";
  return {
    pid: parseInt(stat, 10),
    user: users.get(uid) ?? uid,
    priority: number(STAT.priority),
    nice: number(STAT.nice),
    virtual: kibibytes(VIRTUAL),
    resident: kibibytes(RESIDENT),
    shared: kibibytes(FROM_FILES) + kibibytes(FROM_SHARED_MEMORY),
    state: field[STAT.state] ?? "?",
    cpuTime: (number(STAT.userTicks) + number(STAT.systemTicks)) / TICKS_PER_SECOND,
    age: Math.max(0, uptime - number(STAT.startTicks) / TICKS_PER_SECOND),
    command: stat.slice(open + 1, close),
  };
}

/** By process id; those that end meanwhile are left out. */
export function listProcesses(uptime: number): readonly ProcessFacts[] {
  const users = parsePasswd(textOf("/etc/passwd") ?? "");
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .sort((left, right) => Number(left) - Number(right))
    .map((pid) => parseProcess(textOf(`/proc/${pid}/stat`) ?? "", textOf(`/proc/${pid}/status`) ?? "", users, uptime))
    .filter((found) => found !== undefined);
}
