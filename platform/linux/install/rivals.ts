/** Other guest agents, which would take the host's port. */
import { readlinkSync } from "node:fs";
import { namesIn, readBytes, readText } from "../sysfs.ts";

interface Rival {
  /** What people call it. */
  readonly name: string;
  readonly services: readonly string[];
  /** Whether a process is it. */
  readonly isProcess: (command: string, words: readonly string[]) => boolean;
}

const RIVALS: readonly Rival[] = [
  {
    name: "qemu-ga",
    services: ["qemu-guest-agent", "qemu-ga"],
    isProcess: (command) => command === "qemu-ga",
  },
  {
    name: "ovirt-guest-agent",
    services: ["ovirt-guest-agent"],
    // A script: the interpreter's first word is its file.
    isProcess: (command, [interpreter = "", script = ""]) =>
      command.startsWith("ovirt-guest-ag") ||
      (/python[\d.]*$/.test(interpreter) && script.includes("ovirt-guest-agent")),
  },
];

export const RIVAL_SERVICES: readonly string[] = RIVALS.flatMap(({ services }) => services);

export interface RivalProcess {
  readonly pid: number;
  readonly name: string;
}

/** The file of a process's program; that of one which was replaced meanwhile has a word behind it. */
function programOf(root: string, pid: string): string {
  try {
    return readlinkSync(`${root}/proc/${pid}/exe`).replace(/ \(deleted\)$/, "");
  } catch {
    return "";
  }
}

const processIds = (root: string): string[] =>
  (namesIn(`${root}/proc`) ?? [])
    .filter((name) => /^\d+$/.test(name))
    .sort((left, right) => Number(left) - Number(right));

/** Processes of a program but for this one. @param root stands before `/proc`, for tests */
export function processesOf(program: string, root = ""): number[] {
  return processIds(root)
    .filter((pid) => Number(pid) !== process.pid && programOf(root, pid) === program)
    .map(Number);
}

/** An inguest may go by the name of qemu-ga. */
const isOurs = (program: string): boolean => /\/inguest[^/]*$/.test(program);

/**
 * Those that run.
 * @param root stands before `/proc`, for tests
 */
export function rivalProcesses(root = ""): readonly RivalProcess[] {
  return processIds(root).flatMap((pid) => {
    const command = readText(`${root}/proc/${pid}/comm`) ?? "";
    const words = (readBytes(`${root}/proc/${pid}/cmdline`)?.toString("utf8") ?? "").split("\0");
    const found = RIVALS.find(({ isProcess }) => isProcess(command, words));
    if (found === undefined || isOurs(programOf(root, pid))) return [];
    return { pid: Number(pid), name: found.name };
  });
}
