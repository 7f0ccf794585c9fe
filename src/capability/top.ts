/** The processes as top(1) prints them in batch mode, for guests without that program. */
import type { Counter, CpuTimes, Guest, ProcessFacts } from "../guest.ts";

type Facts = Pick<Guest, "statistics" | "identity" | "clock">;

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;
const KIB_PER_MIB = 1024;

const twoDigits = (value: number): string => String(Math.floor(value)).padStart(2, "0");

/** `3 days,  4:05`, ` 4:05` or `12 min`. */
export function uptimeText(seconds: number): string {
  const days = Math.floor(seconds / DAY);
  const hours = Math.floor((seconds % DAY) / HOUR);
  const minutes = Math.floor((seconds % HOUR) / MINUTE);
  const before = days === 0 ? "" : `${days} ${days === 1 ? "day" : "days"}, `;
  return before + (hours === 0 ? `${minutes} min` : `${String(hours).padStart(2)}:${twoDigits(minutes)}`);
}

function headline({ statistics, identity, clock }: Facts): string {
  const local = Number(clock.now() / 1_000_000_000n) + identity.timezone().offset;
  const time = [(local % DAY) / HOUR, (local % HOUR) / MINUTE, local % MINUTE].map(twoDigits).join(":");
  const sessions = identity.users().length;
  const load = statistics.load?.();
  const loads = load && [load.one, load.five, load.fifteen].map((value) => value.toFixed(2)).join(", ");
  return [
    `top - ${time} up ${uptimeText(statistics.uptime())}`,
    ` ${sessions} ${sessions === 1 ? "user" : "users"}`,
    ...(loads === undefined ? [] : [`  load average: ${loads}`]),
  ].join(", ");
}

const countOf = (processes: readonly ProcessFacts[], states: string): string =>
  String(processes.filter(({ state }) => states.includes(state)).length).padStart(3);

const tasks = (processes: readonly ProcessFacts[]): string =>
  `Tasks: ${String(processes.length).padStart(3)} total, ${countOf(processes, "R")} running, ` +
  `${countOf(processes, "SDI")} sleeping, ${countOf(processes, "Tt")} stopped, ${countOf(processes, "ZX")} zombie`;

/** What top calls the processors' states, in its order. */
const CPU_STATES: readonly (readonly [name: string, field: keyof CpuTimes])[] = [
  ["us", "user"],
  ["sy", "system"],
  ["ni", "nice"],
  ["id", "idle"],
  ["wa", "iowait"],
  ["hi", "irq"],
  ["si", "softirq"],
  ["st", "steal"],
];

const total = (counters: readonly (Counter | undefined)[]): number =>
  counters.reduce<number>((sum, counter) => sum + Number(counter ?? 0), 0);

/** The share of each state of all processors' time since boot. */
function processorLine(processors: readonly CpuTimes[]): string {
  const sums = CPU_STATES.map(([, field]) => total(processors.map((times) => times[field])));
  const whole = total(sums) || 1;
  const shares = CPU_STATES.map(([name], index) => {
    const percent = ((100 * (sums[index] ?? 0)) / whole).toFixed(1);
    return `${percent.padStart(5)} ${name}`;
  });
  return `%Cpu(s):${shares.join(",")}`;
}

const mebibytes = (kibibytes: number): string => (kibibytes / KIB_PER_MIB).toFixed(1).padStart(8);

function memoryLines({ statistics }: Facts): string[] {
  const { total: all, free, buffers, cached, swapTotal, swapFree, available } = statistics.memory();
  const used = Math.max(0, all - free - buffers - cached);
  return [
    `MiB Mem : ${mebibytes(all)} total, ${mebibytes(free)} free, ${mebibytes(used)} used, ` +
      `${mebibytes(buffers + cached)} buff/cache`,
    `MiB Swap: ${mebibytes(swapTotal)} total, ${mebibytes(swapFree)} free, ${mebibytes(swapTotal - swapFree)} used. ` +
      `${mebibytes(available)} avail Mem`,
  ];
}

/** KiB in at most so many characters: `123456`, `1.5g`. */
export function scaled(kibibytes: number, width: number): string {
  let text = String(kibibytes);
  let value = kibibytes;
  for (const unit of "mgtp") {
    if (text.length <= width) break;
    value /= 1024;
    text = `${value.toFixed(1)}${unit}`;
  }
  return text.padStart(width);
}

const USER_WIDTH = 8;

const userText = (name: string): string =>
  name.length > USER_WIDTH ? `${name.slice(0, USER_WIDTH - 1)}+` : name.padEnd(USER_WIDTH);

/** Minutes, seconds and hundredths. */
function timeText(seconds: number): string {
  const hundredths = Math.floor(seconds * 100 + 0.5);
  const rest = hundredths % (MINUTE * 100);
  return `${Math.floor(hundredths / (MINUTE * 100))}:${twoDigits(rest / 100)}.${twoDigits(rest % 100)}`;
}

/** Percent of one processor's time since the process was started. */
const usage = ({ cpuTime, age }: ProcessFacts): number => (age > 0 ? (100 * cpuTime) / age : 0);

const REAL_TIME = -100;
const HEADING = "    PID USER      PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND";

function processLine(process: ProcessFacts, memoryTotal: number): string {
  const { pid, user, priority, nice, state, command } = process;
  return [
    String(pid).padStart(7),
    userText(user),
    (priority <= REAL_TIME ? "rt" : String(priority)).padStart(3),
    String(nice).padStart(3),
    scaled(process.virtual, 7),
    scaled(process.resident, 6),
    scaled(process.shared, 6),
    state,
    usage(process).toFixed(1).padStart(5),
    ((100 * process.resident) / (memoryTotal || 1)).toFixed(1).padStart(5),
    timeText(process.cpuTime).padStart(9),
    command,
  ].join(" ");
}

/** The whole table, busiest process first, each line ended. */
export function topTable(guest: Facts): string {
  const processes = guest.statistics.processes?.() ?? [];
  const memoryTotal = guest.statistics.memory().total;
  const processors = guest.statistics.cpus?.();
  const byUsage = processes.toSorted((left, right) => usage(right) - usage(left) || left.pid - right.pid);
  return [
    headline(guest),
    tasks(processes),
    ...(processors === undefined ? [] : [processorLine(processors)]),
    ...memoryLines(guest),
    "",
    HEADING,
    ...byUsage.map((process) => processLine(process, memoryTotal)),
    "",
  ].join("\n");
}
