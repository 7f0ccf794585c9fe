/** What the kernel knows about another process (proc(5)). */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const field = (text: string, name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1]);

const ofThreads = (pid: number, file: string): string[] =>
  readdirSync(`/proc/${pid}/task`).map((thread) => readFileSync(`/proc/${pid}/task/${thread}/${file}`, "utf8"));

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

export interface Memory {
  /** All in megabytes of 10⁶ bytes. */
  readonly resident: number;
  readonly anonymous: number;
  /** The most that was resident since the start or `resetPeak`. */
  readonly peak: number;
}

export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const megabytes = (name: string): number => (field(status, name) * 1024) / 1e6;
  return { resident: megabytes("VmRSS"), anonymous: megabytes("RssAnon"), peak: megabytes("VmHWM") };
}

export const resetPeak = (pid: number): void => writeFileSync(`/proc/${pid}/clear_refs`, "5");

/** Seconds that its threads have run for. One that has ended takes its time with it. */
export const cpuSeconds = (pid: number): number =>
  sum(ofThreads(pid, "schedstat").map((text) => Number(text.split(" ")[0]))) / 1e9;

/** How often its threads were put on or taken off a processor. A sleeping process has no more of them. */
export const switchesIn = (statusOfThreads: readonly string[]): number =>
  sum(
    statusOfThreads.map((text) => field(text, "voluntary_ctxt_switches") + field(text, "nonvoluntary_ctxt_switches")),
  );

export const switchesOf = (pid: number): number => switchesIn(ofThreads(pid, "status"));
