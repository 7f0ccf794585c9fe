/** Processes and what they have open. */
import { readlinkSync, realpathSync } from "node:fs";
import { namesIn, readText } from "../sysfs.ts";

export interface Running {
  readonly pid: number;
  readonly command: string;
  /** Whether it is this agent. */
  readonly isOurs: boolean;
}

/** Where a link of /proc leads to; one that goes away meanwhile leads nowhere. */
const linkOf = (path: string): string => {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
};

const OUR_PROGRAM = /\/inguest[^/]*$/;

const processOf = (pid: string): Running => ({
  pid: Number(pid),
  command: readText(`/proc/${pid}/comm`) ?? "?",
  isOurs: OUR_PROGRAM.test(linkOf(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, "")),
});

const processIds = (): string[] =>
  (namesIn("/proc") ?? []).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);

/** Agents of this kind, but not the program that asks. */
export const ourProcesses = (): readonly Running[] =>
  processIds()
    .map(processOf)
    .filter(({ isOurs }) => isOurs);

/** The processes that have a device open, as far as the user may know. */
export function holdersOf(path: string): readonly Running[] {
  let device = path;
  try {
    device = realpathSync(path);
  } catch {
    // A link that leads nowhere: nobody has it open.
  }
  return processIds()
    .filter((pid) => (namesIn(`/proc/${pid}/fd`) ?? []).some((fd) => linkOf(`/proc/${pid}/fd/${fd}`) === device))
    .map(processOf);
}
