/**
 * The one contract between `src`, which knows protocols, and `platform/<os>`, which knows one operating system.
 *
 * A member that is `undefined` is something this operating system cannot do: the dialects then answer with
 * their own "unsupported" error.
 */
export interface Guest {
  readonly os: "linux" | "windows";
  readonly loop: Loop;
  readonly ports: Ports;
  readonly processes: Processes;
  readonly files: Files;
  readonly clock: Clock;
  readonly paths: DefaultPaths;
  /** Gives memory of the agent back to the system that it can get again without input or output. */
  readonly releaseMemory?: () => void;
  readonly logs: Logs;
  readonly daemon?: Daemon;
  readonly identity: Identity;
  readonly network: Network;
  readonly statistics: Statistics;
  readonly storage?: Storage;
  readonly freezer?: Freezer;
  readonly vcpus?: Vcpus;
  readonly memoryBlocks?: MemoryBlocks;
  readonly power?: Power;
  readonly accounts?: Accounts;
  readonly devices?: Devices;
  readonly interpreters?: Interpreters;
  readonly sessions?: Sessions;
  readonly applications?: Applications;
  readonly containers?: Containers;
  readonly services?: Services;
  readonly hostLines?: HostLines;
  readonly supervisor?: Supervisor | undefined;
  readonly installer?: Installer;
  readonly doctor?: Doctor;
}

/** A call of the operating system that failed. */
export class SystemError extends Error {
  override name = "SystemError";

  /**
   * @param call the function's name: `open`, `CreateFileW`
   * @param code the symbol of the error: `ENOENT`, `ERROR_FILE_NOT_FOUND`
   * @param reason the system's own text for it: "No such file or directory"
   * @param subject what it was called for, usually a path
   */
  constructor(
    readonly call: string,
    readonly code: string,
    readonly reason: string,
    readonly subject?: string,
  ) {
    super(`${call}${subject === undefined ? "" : ` ${subject}`}: ${reason}`);
  }
}

/** A program that was run for the guest and did not end with status 0. */
export class ProgramError extends Error {
  override name = "ProgramError";

  /**
   * @param failure how it ended, or why it could not be started
   * @param output the beginning of what it printed on both streams
   */
  constructor(
    readonly program: string,
    readonly failure: ExitStatus | SystemError,
    readonly output: string,
  ) {
    super(`${program}: ${programFailure(failure, output)}`);
  }
}

function programFailure(failure: ExitStatus | SystemError, output: string): string {
  if (failure instanceof SystemError) return failure.reason;
  if (failure.timedOut) return "killed after its time limit";
  if (output.trim() !== "") return output.trim();
  return failure.signal === undefined ? `exit status ${failure.exitCode}` : `signal ${failure.signal}`;
}

/** Something for which there are several ways, and none of them worked. */
export class AttemptsError extends Error {
  override name = "AttemptsError";

  /** @param tried a sentence for each way that fits this guest and failed; none when no way fits */
  constructor(readonly tried: readonly string[]) {
    super(tried.length > 0 ? tried.join("; ") : "not supported by the guest");
  }
}

/** Waits for everything at once without waking up for nothing. Only one loop runs in a process. */
export interface Loop {
  /** Serves events until `stop` is called. */
  run(): void;
  stop(): void;
  /** Calls back once after so many milliseconds; the result cancels it. */
  after(milliseconds: number, callback: () => void): () => void;
  /** Calls back when the system asks the process to end (SIGTERM, SIGINT; a service stop). */
  onTerminate(callback: (reason: string) => void): void;
  /** Calls back on the next turn, after whatever else is ready was served. */
  soon(callback: () => void): void;
}

/** What a port tells its owner. */
export interface PortEvents {
  /** Bytes may be there: read until 0. */
  readable(): void;
  /** There is room again after a short write. */
  writable(): void;
}

/** One byte stream to a host. Nothing blocks. */
export interface Port {
  /** True for a line that stays when the host goes (a serial port), false for a connection that ends. */
  readonly persistent: boolean;
  /** Starts the events. */
  watch(events: PortEvents): void;
  /** True when the last read is known to have taken all there was. */
  readonly drained: boolean;
  /** @returns bytes read; 0 when there are none now; -1 when the other side has gone. @throws SystemError */
  read(into: Uint8Array): number;
  /** @returns bytes taken of `from[start, end)`, 0 when there is no room. @throws SystemError */
  write(from: Uint8Array, start: number, end: number): number;
  /** Whether a host is at the other end of a persistent line now; one without takes nothing. */
  attended(): boolean;
  close(): void;
}

/** A socket that hosts connect to. */
export interface Listener {
  /** Calls back when a host may be waiting. */
  watch(waiting: () => void): void;
  /** @returns the next host's port, or undefined when none waits. */
  accept(): Port | undefined;
  close(): void;
}

/** The ways to a host. All throw SystemError. */
export interface Ports {
  /** Default paths by method, as qemu-ga has them. */
  readonly defaults: { readonly virtioSerial: string; readonly isaSerial: string };
  /** A virtio-serial port. It stays open while hosts come and go; `read` gives 0 when no host is attached. */
  openVirtioSerial(path: string): Port;
  /** A serial line: 115200 baud, raw. */
  openSerial(path: string): Port;
  listenUnix(path: string): Listener;
  listenVsock(cid: number, port: number): Listener;
  /** Standard input and output as one port. */
  stdio(): Port;
  /**
   * Sockets handed over by the service manager (sd_listen_fds(3)).
   * @returns method `unix-listen` or `vsock-listen` and the listener; undefined when none was handed over; each call
   * gives the same.
   */
  activated(): { readonly method: "unix-listen" | "vsock-listen"; listen(): Listener } | undefined;
  /** Calls back each time the path comes into being or changes; the result ends it. */
  watchPath(path: string, appeared: () => void): () => void;
}

export interface SpawnRequest {
  /** The program, looked up in PATH when it has no slash, and its arguments. */
  readonly argv: readonly string[];
  /** `NAME=value` entries that replace the environment; the agent's own when left out. */
  readonly env?: readonly string[] | undefined;
  /** Standard input; empty when left out. */
  readonly input?: Uint8Array | undefined;
  readonly stdout: "null" | "pipe";
  /** `stdout`: into the same pipe. */
  readonly stderr: "null" | "pipe" | "stdout";
  /** Ends the child with SIGKILL, and all it started, after so many milliseconds. */
  readonly timeout?: number | undefined;
}

export interface ExitStatus {
  readonly exitCode?: number;
  readonly signal?: number;
  readonly timedOut?: boolean;
}

export interface SpawnEvents {
  /** A slice of output; the bytes are only valid during the call. */
  output(stream: "stdout" | "stderr", bytes: Uint8Array): void;
  /** The child has ended, was reaped, and every pipe of it has been read to its end. */
  ended(status: ExitStatus): void;
}

export interface Processes {
  /** @returns the process id. @throws SystemError when the program cannot be started */
  spawn(request: SpawnRequest, events: SpawnEvents): number;
}

/** As much of a program's output as an error needs. */
const OUTPUT_KEPT = 65_536;

/**
 * Runs a program to its end without waiting for it here.
 * @param options standard input; milliseconds after which it is killed
 * @returns the beginning of what it printed on both streams
 * @throws ProgramError when it cannot be started or ends with anything but status 0
 */
export function runProgram(
  processes: Processes,
  argv: readonly string[],
  options: Pick<SpawnRequest, "input" | "timeout"> = {},
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const program = argv[0] ?? "";
  const slices: Uint8Array[] = [];
  let kept = 0;
  try {
    processes.spawn(
      { ...options, argv, stdout: "pipe", stderr: "stdout" },
      {
        output(_stream, bytes) {
          const slice = Uint8Array.from(bytes.subarray(0, OUTPUT_KEPT - kept));
          kept += slice.byteLength;
          slices.push(slice);
        },
        ended(status) {
          const output = Buffer.concat(slices).toString("utf8");
          if (status.exitCode === 0 && !status.timedOut) resolve(output);
          else reject(new ProgramError(program, status, output));
        },
      },
    );
  } catch (error) {
    reject(error instanceof SystemError ? new ProgramError(program, error, "") : error);
  }
  return promise;
}

/** How fopen(3) would open it; `b` means nothing here. */
export type OpenMode = "r" | "w" | "a" | "r+" | "w+" | "a+";

export interface OpenFile {
  /** Reads up to `end - start` bytes; fewer only at the end of the file. @throws SystemError */
  read(into: Uint8Array, start: number, end: number): number;
  /** Writes up to `end - start` bytes; fewer only when the rest failed. @throws SystemError when none could be written */
  write(from: Uint8Array, start: number, end: number): number;
  /** @returns the new position. @throws SystemError */
  seek(offset: bigint, whence: "set" | "cur" | "end"): bigint;
  /** Cuts the file at `length` and moves the position there. @throws SystemError */
  truncate(length: bigint): void;
  flush(): void;
  close(): void;
}

export interface Files {
  /** New files get mode 0666 whatever the umask, as with qemu-ga. @throws SystemError */
  open(path: string, mode: OpenMode): OpenFile;
  /** @throws SystemError */
  readText(path: string): string;
  /** Replaces the file at once (write beside it, rename). @throws SystemError */
  replaceText(path: string, text: string): void;
  /** Creates an empty file only its owner can read. @throws SystemError */
  touch(path: string): void;
  exists(path: string): boolean;
  /** The names in a directory; none when it is not there. @throws SystemError */
  names?(directory: string): readonly string[];
  /** @throws SystemError */
  remove(path: string): void;
}

export interface Clock {
  /** Nanoseconds since 1970-01-01 UTC. */
  now(): bigint;
  /** Sets the system clock. @throws SystemError */
  set(nanoseconds: bigint): void;
  /** Copies the system clock to the hardware clock (`save`) or back (`load`). @throws ProgramError, SystemError */
  syncHardware(direction: "save" | "load"): Promise<void>;
}

/** Where things are when nothing else was said, as qemu-ga has it on this system. */
export interface DefaultPaths {
  readonly configFile: string;
  readonly pidfile: string;
  readonly statedir: string;
  readonly fsfreezeHook: string;
  /** Settings that the services of qemu-ga's packages read. */
  readonly settingsFiles?: readonly string[];
  /** What is written there in place of a file that is not wanted. */
  readonly noFile?: string;
  /** The oVirt guest agent's settings, and the directory of its hooks. */
  readonly ovirtConfigFile?: string;
  readonly ovirtHooks?: string;
}

/** A file that log lines are added to. */
export interface LogFile {
  /** Adds text; what cannot be written is lost. */
  write(text: string): void;
}

/** Where log lines can go. */
export interface Logs {
  readonly standardError: LogFile;
  /** Opens a file for appending, and creates it. @throws SystemError */
  openFile(path: string): LogFile;
  /** Hands a line of information to the system's log; nothing happens where there is none. */
  system(text: string): void;
}

/**
 * A program that stays when the one that started it has ended: on Linux a process in the background, on Windows a
 * service, whose manager starts it once and keeps no pid file.
 */
export interface Daemon {
  /**
   * In the process that the user started: starts the program once more, waits until that is ready or has failed,
   * and gives the exit code to end with. In that second one: gives undefined, and `settle` is expected.
   * @throws SystemError
   */
  detach(): number | undefined;
  /**
   * Takes the pid file: writes the process id into it and keeps it locked as long as this process lives.
   * @returns removes the file
   * @throws SystemError, with code EAGAIN when another process has it locked
   */
  lockPidFile(path: string): () => void;
  /** Lets go of terminal, session and working directory, and lets the first process end. @throws SystemError */
  settle(): void;
}

/** What the option `-s` asks of the system's manager of services. */
export interface Services {
  /**
   * What can be asked, by name. Each does it and gives a sentence for the user.
   * @param args the options with which the service is to run
   * @throws SystemError, AttemptsError
   */
  readonly actions: Readonly<Record<string, (args: readonly string[]) => string>>;
}

/** What started the agent and wants to hear from it. There is one only when it said so. */
export interface Supervisor {
  /** Says that hosts are answered from now on, and keeps giving signs of life if the supervisor wants them. */
  ready(): void;
}

/** One thing to do on the way to an installed agent, or back. */
export interface SystemChange {
  /** In the imperative: "write /etc/udev/rules.d/60-inguest.rules". */
  readonly text: string;
  /** False when the system is so already. */
  readonly needed: boolean;
  /** @throws SystemError, ProgramError */
  apply(): void | Promise<void>;
}

export interface InstallRequest {
  /** The directory of another system, in which nothing is started; empty for the one that runs. */
  readonly root: string;
  /** What is to run the agent, one of `Installer.managers`; found out when left out. */
  readonly manager?: string | undefined;
  /** Stop other agents and keep them from being started. */
  readonly replace: boolean;
  /** Start the agent at boot whether there is a port or not: it has other ways to its host. */
  readonly withoutPort: boolean;
  /** Do not start it now. */
  readonly later: boolean;
}

/** Brings the agent into a system as one of its services, and out again. */
export interface Installer {
  readonly managers: readonly string[];
  /**
   * Another agent that runs, or would be started at boot: a sentence for each.
   * @throws AttemptsError
   */
  rivals(request: Pick<InstallRequest, "root" | "manager">): readonly string[];
  /** All that is to do, in its order. @throws AttemptsError when it cannot be done, SystemError */
  install(request: InstallRequest): Promise<readonly SystemChange[]>;
  /**
   * Takes back what `install` did.
   * @param request.purge removes settings too that were changed since
   * @throws AttemptsError when it was not installed this way, SystemError
   */
  uninstall(request: { readonly root: string; readonly purge: boolean }): Promise<readonly SystemChange[]>;
}

/** What was found out about one condition of an agent's work. */
export interface Finding {
  /** One word: `port`, `driver`. */
  readonly check: string;
  readonly verdict: "ok" | "warn" | "fail";
  readonly text: string;
  /** What to do about it. */
  readonly fix?: string | undefined;
}

/** Which agent is asked about. */
export interface Patient {
  /** Devices that the settings name. */
  readonly devices: readonly string[];
  /** Names of virtio ports, of which any will do when no device was named; none when sockets are served. */
  readonly knownPorts: readonly string[];
  readonly fsfreezeHook?: string | undefined;
  readonly statedir: string;
  /** The file that is there while filesystems are frozen. */
  readonly freezeMark: string;
  /** How a VM gets a port from its host. */
  readonly channelAdvice: string;
}

/** Finds out why hosts get no answer. */
export interface Doctor {
  /** The arguments with which the system starts the agent, where they are not the same for all. */
  startArguments?(): readonly string[] | undefined;
  examine(patient: Patient): readonly Finding[];
}

export interface OsInfo {
  readonly kernelRelease?: string;
  readonly kernelVersion?: string;
  readonly machine?: string;
  readonly id?: string;
  readonly name?: string;
  readonly prettyName?: string;
  readonly version?: string;
  readonly versionId?: string;
  readonly variant?: string;
  readonly variantId?: string;
  /** VERSION_CODENAME of os-release(5). */
  readonly codename?: string;
}

export interface LoggedInUser {
  readonly user: string;
  readonly domain?: string;
  /** The terminal or session's name. */
  readonly terminal?: string;
  /** Seconds since 1970, with fractions. */
  readonly loginTime: number;
}

export interface Identity {
  hostName(): string;
  /** The fully qualified name, the host name when there is none. */
  fqdn(): string;
  osInfo(): OsInfo;
  /** The local zone's abbreviation and seconds east of UTC, now. */
  timezone(): { readonly zone?: string; readonly offset: number };
  /** The local zone's name in the time zone database: `Europe/Berlin`; undefined when it has none. */
  zoneName?(): string | undefined;
  /** The distribution's version with all its parts, where it says that in a place of its own. */
  releaseVersion?(): string | undefined;
  /** One entry for each session. */
  users(): readonly LoggedInUser[];
}

/** A counter of 64 bits: a number while that is exact, otherwise a bigint. */
export type Counter = number | bigint;

export interface InterfaceCounters {
  readonly rxBytes: Counter;
  readonly rxPackets: Counter;
  readonly rxErrors: Counter;
  readonly rxDropped: Counter;
  readonly txBytes: Counter;
  readonly txPackets: Counter;
  readonly txErrors: Counter;
  readonly txDropped: Counter;
}

export interface NetworkInterface {
  readonly name: string;
  /** `aa:bb:cc:dd:ee:ff`; left out when it has none or only zeros. */
  readonly mac?: string;
  /** Flag names as ip(8) prints them: UP, LOOPBACK, LOWER_UP ... */
  readonly flags: readonly string[];
  readonly addresses: readonly { readonly family: 4 | 6; readonly address: string; readonly prefix: number }[];
  readonly counters?: InterfaceCounters;
}

/** An entry of the kernel's routing table of IP version 4 or 6; what only the other version has is left out. */
export interface Route {
  readonly version: 4 | 6;
  /** The interface's name, `*` for a route that goes nowhere. */
  readonly iface: string;
  readonly destination: string;
  readonly metric: number;
  readonly gateway?: string;
  readonly mask?: string;
  readonly irtt?: number;
  /** RTF_* bits, 32 of them. */
  readonly flags: number;
  readonly refcnt: number;
  readonly use: number;
  readonly window?: number;
  readonly mtu?: number;
  readonly destinationPrefix?: number;
  readonly source?: string;
  readonly sourcePrefix?: number;
  readonly nextHop?: string;
}

export interface Network {
  /** In the system's order; an alias (`eth0:1`) is an interface of its own, without counters. @throws SystemError */
  interfaces(): readonly NetworkInterface[];
  /** @throws SystemError */
  routes?(): readonly Route[];
}

/** Milliseconds spent, of one processor. Fields that the kernel does not have are left out. */
export interface CpuTimes {
  readonly cpu: number;
  readonly user: Counter;
  readonly nice: Counter;
  readonly system: Counter;
  readonly idle: Counter;
  readonly iowait?: Counter | undefined;
  readonly irq?: Counter | undefined;
  readonly softirq?: Counter | undefined;
  readonly steal?: Counter | undefined;
  readonly guest?: Counter | undefined;
  readonly guestNice?: Counter | undefined;
}

/** A line of /proc/diskstats (Documentation/admin-guide/iostats.rst). */
export interface DiskCounters {
  readonly name: string;
  readonly major: number;
  readonly minor: number;
  readonly readIos: Counter;
  readonly readMerges: Counter;
  readonly readSectors: Counter;
  readonly readTicks: Counter;
  readonly writeIos: Counter;
  readonly writeMerges: Counter;
  readonly writeSectors: Counter;
  readonly writeTicks: Counter;
  readonly iosInProgress: Counter;
  readonly totalTicks: Counter;
  readonly weightTicks: Counter;
  readonly discardIos?: Counter | undefined;
  readonly discardMerges?: Counter | undefined;
  readonly discardSectors?: Counter | undefined;
  readonly discardTicks?: Counter | undefined;
  readonly flushIos?: Counter | undefined;
  readonly flushTicks?: Counter | undefined;
}

/** KiB, and events since boot. */
export interface MemoryFacts {
  readonly total: number;
  readonly free: number;
  readonly available: number;
  readonly buffers: number;
  readonly cached: number;
  readonly swapTotal: number;
  readonly swapFree: number;
  readonly swapIn: number;
  readonly swapOut: number;
  readonly pageFaults: number;
  readonly majorFaults: number;
  /** Processes killed for want of memory since boot. */
  readonly oomKills: number;
}

/** One process, as top(1) lists it. */
export interface ProcessFacts {
  readonly pid: number;
  /** The owner's name, its number when it has none. */
  readonly user: string;
  /** As top(1) prints it: -100 and below are real-time priorities. */
  readonly priority: number;
  readonly nice: number;
  /** KiB of address space, of memory in use, and of that what is shared with others. */
  readonly virtual: number;
  readonly resident: number;
  readonly shared: number;
  /** One letter: R, S, D, Z, T, t, I. */
  readonly state: string;
  /** Seconds of processor time used since it was started, and seconds since then. */
  readonly cpuTime: number;
  readonly age: number;
  readonly command: string;
}

export interface Statistics {
  /** Runnable processes averaged over 1, 5 and 15 minutes. */
  load?(): { readonly one: number; readonly five: number; readonly fifteen: number };
  cpus?(): readonly CpuTimes[];
  disks?(): readonly DiskCounters[];
  memory(): MemoryFacts;
  /** Seconds since boot. */
  uptime(): number;
  processes?(): readonly ProcessFacts[];
}

export type BusType =
  | "ide"
  | "fdc"
  | "scsi"
  | "virtio"
  | "xen"
  | "usb"
  | "uml"
  | "sata"
  | "sd"
  | "unknown"
  | "ieee1394"
  | "ssa"
  | "fibre"
  | "raid"
  | "iscsi"
  | "sas"
  | "mmc"
  | "virtual"
  | "file-backed-virtual"
  | "nvme";

/** Where a disk hangs. PCI fields are -1 when it is not behind PCI. */
export interface DiskAddress {
  readonly busType: BusType;
  readonly pci: { readonly domain: number; readonly bus: number; readonly slot: number; readonly function: number };
  readonly bus: number;
  readonly target: number;
  readonly unit: number;
  readonly serial?: string | undefined;
  /** The device node. */
  readonly dev?: string | undefined;
  /** On s390x. */
  readonly ccw?:
    | { readonly cssid: number; readonly ssid: number; readonly subchno: number; readonly devno: number }
    | undefined;
}

export interface Disk {
  /** The name of its device, as the system has it. */
  readonly name: string;
  readonly partition: boolean;
  /** Device nodes that it lies on. */
  readonly dependencies?: readonly string[] | undefined;
  readonly address?: DiskAddress | undefined;
  /** The name that the device mapper gives it. */
  readonly alias?: string | undefined;
  readonly smart?: NvmeSmart | undefined;
}

/** The SMART / Health Information log page of the NVMe base specification. */
export interface NvmeSmart {
  /** Bits: spare low, temperature, reliability, read-only, backup. */
  readonly criticalWarning: number;
  /** Kelvin. */
  readonly temperature: number;
  /** Percent. */
  readonly availableSpare: number;
  /** Percent. */
  readonly availableSpareThreshold: number;
  /** Percent, may pass 100. */
  readonly percentageUsed: number;
  /** Thousands of 512-byte units. */
  readonly dataUnitsRead: Counter128;
  readonly dataUnitsWritten: Counter128;
  readonly hostReadCommands: Counter128;
  readonly hostWriteCommands: Counter128;
  /** Minutes. */
  readonly controllerBusyTime: Counter128;
  readonly powerCycles: Counter128;
  readonly powerOnHours: Counter128;
  readonly unsafeShutdowns: Counter128;
  readonly mediaErrors: Counter128;
  readonly errorLogEntries: Counter128;
}

/** The halves of an unsigned 128-bit counter. */
export interface Counter128 {
  readonly low: bigint;
  readonly high: bigint;
}

export interface Filesystem {
  /** The device's name without /dev/. */
  readonly name: string;
  readonly mountpoint: string;
  readonly type: string;
  /** Bytes. Left out when the filesystem does not say. */
  readonly usedBytes?: bigint;
  readonly totalBytes?: bigint;
  /** What root sees: with the blocks kept for it. */
  readonly totalBytesPrivileged?: bigint;
  readonly readOnly: boolean;
  readonly disks: readonly DiskAddress[];
}

/** A mounted filesystem of any kind. */
export interface MountUsage {
  readonly path: string;
  readonly type: string;
  /** Bytes, those kept for root included. */
  readonly totalBytes: number | bigint;
  readonly usedBytes: number | bigint;
}

export interface Storage {
  /** Mounted filesystems that lie on disks, each device once, in the order they were mounted. */
  filesystems(): readonly Filesystem[];
  /** Every mount in the order of the table, but for those of other machines: one that does not answer would hang us. */
  usage?(): readonly MountUsage[];
  /** Disks, each followed by its partitions. */
  disks(): readonly Disk[];
  /**
   * Discards unused blocks of each mounted filesystem, one in a turn of the loop.
   * @param minimum bytes of the smallest extent worth discarding
   * @param mayGoOn asked before each filesystem; those that it refuses get an error
   * @returns one result for each filesystem, in the order of `filesystems`
   */
  trim(minimum: bigint, mayGoOn: () => boolean): Promise<readonly TrimResult[]>;
}

export interface TrimResult {
  readonly path: string;
  /** Bytes. */
  readonly trimmed?: bigint;
  /** The smallest extent that was in effect, bytes. */
  readonly minimum?: bigint;
  readonly error?: string;
}

/** Filesystems that can be frozen. While one is frozen, nothing here touches a disk. */
export interface Freezer {
  /** True where a freeze ends with the agent: then none is looked for at the start, and none keeps it from ending. */
  readonly endsWithAgent?: boolean;
  /**
   * Freezes, in reverse mount order, each freezable filesystem (or those mounted on `mountpoints`).
   * When one fails, all are thawed again.
   * @returns how many were frozen by this call
   * @throws SystemError of the call `open` or `freeze`, naming the mountpoint, or of `read` for the mount table
   */
  freeze(mountpoints?: readonly string[]): Promise<number>;
  /**
   * Thaws all, whoever froze them.
   * @returns how many were frozen
   * @throws SystemError: still frozen; AttemptsError: thawed, but not as it should have been
   */
  thaw(): Promise<number>;
}

export interface Vcpu {
  readonly id: number;
  readonly online: boolean;
  readonly canOffline: boolean;
}

export interface Vcpus {
  list(): readonly Vcpu[];
  /**
   * Switches one on or off. Left out where the system cannot do it.
   * @returns false when this one cannot go offline
   * @throws SystemError
   */
  set?(id: number | bigint, online: boolean): boolean;
}

export interface MemoryBlock {
  /** The kernel's block number. */
  readonly index: number;
  readonly online: boolean;
  readonly canOffline: boolean;
}

export type MemoryBlockOutcome = "success" | "not-found" | "operation-not-supported" | "operation-failed";

export interface MemoryBlocks {
  list(): readonly MemoryBlock[];
  set(index: number | bigint, online: boolean): { readonly outcome: MemoryBlockOutcome; readonly errno?: number };
  /** Bytes of one block. @throws SystemError */
  blockSize(): number;
}

export interface Power {
  /**
   * Asks the system to go down; resolves when it has agreed.
   * @param message what the logged-in users are told
   * @param minutes to wait before
   * @throws ProgramError of the program that refused; SystemError
   */
  shutdown(mode: "powerdown" | "reboot" | "halt", message: string, minutes: number): Promise<void>;
  /** Resolves when it has agreed, or after the guest woke up again. @throws AttemptsError */
  suspend(mode: "disk" | "ram" | "hybrid"): Promise<void>;
}

export interface Accounts {
  /**
   * @param password bytes without NUL and line feed; a hash as crypt(3) makes it when `crypted`
   * @throws ProgramError, SystemError
   */
  setPassword(user: string, password: Uint8Array, crypted: boolean): Promise<void>;
  /**
   * The content of the user's authorized_keys. A symbolic link or a file of someone else is refused.
   * @throws SystemError of the call `getpwnam` or `read`; the code is ENOENT when there is no such user or file
   */
  readAuthorizedKeys(user: string): Uint8Array;
  /**
   * Replaces the user's authorized_keys at once; creates ~/.ssh, owned by the user, when needed.
   * @throws SystemError of the call `getpwnam`, `mkdir` or `write`
   */
  writeAuthorizedKeys(user: string, content: Uint8Array): void;
  /** Sets the host name now and for the next boots. @throws SystemError */
  setHostName(name: string): void;
  /** When and where somebody last logged in, as one line; empty when never. */
  lastLogin(): string;
}

export interface Devices {
  list(): readonly {
    readonly driverName: string;
    readonly driverDate?: bigint;
    readonly driverVersion?: string;
    readonly id?: { readonly vendorId: number; readonly deviceId: number };
  }[];
}

/** What runs the commands that a host sends as text. All are the words of a command line. */
export interface Interpreters {
  shell(command: string): readonly string[];
  /** A script in a file; undefined where nothing is installed that runs it. */
  script(language: "sh" | "py", path: string): readonly string[] | undefined;
}

export type SessionEvent = "users" | "lock" | "unlock";

/** The sessions of people at this guest; who they are is `Identity.users`. */
export interface Sessions {
  /** Calls back when somebody may have logged in or out, and when a screen was locked; the result ends it. */
  watch(happened: (event: SessionEvent) => void): () => void;
  /** Locks the screens. @throws ProgramError, AttemptsError */
  lock(): Promise<void>;
  /** Ends the sessions of a user. @throws ProgramError, SystemError, AttemptsError */
  end(user: string): Promise<void>;
}

/** An installed package. */
export interface InstalledPackage {
  readonly name: string;
  readonly version: string;
  /** Where the version and the packager's release are two things. */
  readonly release?: string;
}

export interface Applications {
  /**
   * Which of the named packages are installed, in the order of the names; a name that a package only provides is listed
   * with that package's version.
   */
  installed(names: readonly string[]): readonly InstalledPackage[];
}

/** A container, running or not. */
export interface Container {
  readonly id: string;
  readonly names: readonly string[];
  readonly image: string;
  readonly command: string;
  /** As the engine words it: "Up 2 hours". */
  readonly status: string;
}

export interface Containers {
  /** Of all engines; none when there is no engine. */
  list(): Promise<readonly Container[]>;
}

/** Ways to the agent of another machine, for the host's side. Both throw SystemError. */
export interface HostLines {
  /** @returns the descriptor of a connected socket on which nothing blocks */
  connectVsock(cid: number, port: number): number;
  /**
   * Opens a serial line: 115200 baud, raw.
   * @returns a descriptor whose reads wait, and another whose writes take as much as there is room for
   */
  openSerial(path: string): { readonly input: number; readonly output: number };
}
