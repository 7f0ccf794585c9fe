/** Who asks, and what security modules let agents do. */
import type { Finding } from "../../../src/guest.ts";
import { readText } from "../sysfs.ts";
import { adviceFor } from "./advice.ts";
import { ourProcesses } from "./running.ts";

export function examineUser(): Finding[] {
  if (process.geteuid?.() === 0) return [];
  return [{ check: "user", verdict: "warn", text: "not root: not everything can be seen", fix: "sudo inguest doctor" }];
}

/** The domain that Fedora's policy has for guest agents; it may not do much. */
const AGENT_DOMAIN = "virt_qemu_ga_t";

/** @returns what a security module calls a process, without a NUL or the mode behind it */
const labelOf = (pid: number, root: string): string =>
  (readText(`${root}/proc/${pid}/attr/current`) ?? "").replace(/[\0\n]|\s*\(.*\)$/g, "");

function examineSelinux(pids: readonly number[], root: string): Finding[] {
  const enforcing = readText(`${root}/sys/fs/selinux/enforce`);
  if (enforcing === undefined) return [];
  const check = "selinux";
  if (enforcing !== "1") return [{ check, verdict: "ok", text: "permissive" }];
  const confined = pids.find((pid) => labelOf(pid, root).includes(`:${AGENT_DOMAIN}:`));
  if (confined === undefined) return [{ check, verdict: "ok", text: "enforcing, and the agent is not confined by it" }];
  return [
    {
      check,
      verdict: "warn",
      text: `enforcing, and process ${confined} is in the domain ${AGENT_DOMAIN}: programs and many files are refused`,
      fix: "setsebool -P virt_qemu_ga_run_unconfined on virt_qemu_ga_read_nonsecurity_files on; ausearch -m avc -ts recent tells what was refused",
    },
  ];
}

function examineApparmor(pids: readonly number[], root: string): Finding[] {
  if (readText(`${root}/sys/module/apparmor/parameters/enabled`) !== "Y") return [];
  const check = "apparmor";
  const confined = pids.find((pid) => !["", "unconfined"].includes(labelOf(pid, root)));
  if (confined === undefined) return [{ check, verdict: "ok", text: "on, and no profile confines the agent" }];
  return [
    {
      check,
      verdict: "warn",
      text: `the profile ${labelOf(confined, root)} confines process ${confined}`,
      fix: `aa-complain with the profile's name; ${adviceFor(root).kernelLog} | grep apparmor tells what was refused`,
    },
  ];
}

/**
 * @param pids processes of the agent
 * @param root stands before `/sys` and `/proc`, for tests
 */
export function examineConfinement(pids = ourProcesses().map(({ pid }) => pid), root = ""): Finding[] {
  const found = [...examineSelinux(pids, root), ...examineApparmor(pids, root)];
  return found.length > 0 ? found : [{ check: "security", verdict: "ok", text: "neither SELinux nor AppArmor is on" }];
}
