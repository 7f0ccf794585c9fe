/** Child processes by CreateProcessW: no console window, only the handles they need, the end told by the loop. */
import { type Pointer, ptr } from "bun:ffi";
import { existsSync } from "node:fs";
import { watchForEnd } from "../../src/child-end.ts";
import { type ExitStatus, type Processes, type SpawnEvents, type SpawnRequest, SystemError } from "../../src/guest.ts";
import { batchCommandLine, commandLine, dangerousForBatch, shellCommandLine } from "./command-line.ts";
import { check, ERROR, systemError } from "./errors.ts";
import { type Handle, kernel32 } from "./kernel32.ts";
import { associate, loop, whenSignalled } from "./loop.ts";
import { keepUntilHere } from "./memory.ts";
import { createOperation } from "./overlapped.ts";
import { inheritedSecurity } from "./security.ts";
import { fromWide, wide, wideRoom } from "./wide.ts";

const GENERIC_READ = 0x80000000;
const GENERIC_WRITE = 0x40000000;
const FILE_SHARE_READ_WRITE = 3;
const OPEN_EXISTING = 3;
const FILE_FLAG_OVERLAPPED = 0x40000000;
const FILE_FLAG_FIRST_PIPE_INSTANCE = 0x00080000;
const PIPE_ACCESS_INBOUND = 1;
const PIPE_ACCESS_OUTBOUND = 2;
const PIPE_REJECT_REMOTE_CLIENTS = 8;
const PIPE_BUFFER = 64 * 1024;

const CREATE_SUSPENDED = 0x4;
const CREATE_UNICODE_ENVIRONMENT = 0x400;
const EXTENDED_STARTUPINFO_PRESENT = 0x80000;
const CREATE_NO_WINDOW = 0x08000000;
const STARTF_USESTDHANDLES = 0x100;
const PROC_THREAD_ATTRIBUTE_HANDLE_LIST = 0x20002;

/** STARTUPINFOEXW: a STARTUPINFOW and the attribute list behind it. */
const STARTUP = { size: 112, flags: 60, input: 80, output: 88, error: 96, attributes: 104 } as const;
/** PROCESS_INFORMATION. */
const PROCESS = { size: 24, process: 0, thread: 8, processId: 16 } as const;

/** Exit codes from here on are the NTSTATUS of an exception, not a program's own. */
const FIRST_EXCEPTION = 0xc0000000;
const KILLED = 1;

/** What a name without an extension may stand for. */
const EXTENSIONS = ["", ".exe", ".com", ".bat", ".cmd"];
const MAX_PATH = 32_768;

interface Pipe {
  readonly ours: Handle;
  readonly theirs: Handle;
}

let pipes = 0;

/** A pipe whose end on our side is overlapped and whose other end the child inherits. @throws SystemError */
function openPipe(direction: "to child" | "from child"): Pipe {
  const name = wide(`\\\\.\\pipe\\inguest-${process.pid}-${++pipes}`);
  const toChild = direction === "to child";
  const ours = check(
    kernel32.CreateNamedPipeW(
      name,
      ((toChild ? PIPE_ACCESS_OUTBOUND : PIPE_ACCESS_INBOUND) |
        FILE_FLAG_OVERLAPPED |
        FILE_FLAG_FIRST_PIPE_INSTANCE) >>>
        0,
      PIPE_REJECT_REMOTE_CLIENTS,
      1,
      PIPE_BUFFER,
      PIPE_BUFFER,
      0,
      null,
    ),
    "CreateNamedPipeW",
  );
  try {
    associate(ours);
    const access = toChild ? GENERIC_READ : GENERIC_WRITE;
    return {
      ours,
      theirs: check(kernel32.CreateFileW(name, access, 0, inheritedSecurity(), OPEN_EXISTING, 0, 0), "CreateFileW"),
    };
  } catch (error) {
    kernel32.CloseHandle(ours);
    throw error;
  }
}

/** NUL, to be inherited. @throws SystemError */
function openNull(): Handle {
  return check(
    kernel32.CreateFileW(
      wide("NUL"),
      (GENERIC_READ | GENERIC_WRITE) >>> 0,
      FILE_SHARE_READ_WRITE,
      inheritedSecurity(),
      OPEN_EXISTING,
      0,
      0,
    ),
    "CreateFileW",
    "NUL",
  );
}

/** The file that a program's name stands for: as it is when it has a directory, otherwise where Windows looks. */
function findProgram(program: string): string | undefined {
  if (program === "") return undefined;
  if (/[\\/:]/.test(program)) return EXTENSIONS.map((extension) => program + extension).find(existsSync);
  const found = wideRoom(MAX_PATH);
  for (const extension of EXTENSIONS) {
    const length = kernel32.SearchPathW(null, wide(program + extension), null, MAX_PATH, found, null);
    if (length > 0 && length < MAX_PATH) return fromWide(found, 0, length * 2);
  }
  return undefined;
}

/** What is run, and the string that it gets. @throws SystemError */
function resolve([program = "", ...args]: readonly string[]): { readonly file: string; readonly line: string } {
  const file = findProgram(program);
  if (file === undefined) throw systemError("CreateProcessW", ERROR.FILE_NOT_FOUND, program);
  if (!/\.(bat|cmd)$/i.test(file)) {
    const asShell = /(^|[\\/])cmd\.exe$/i.test(file) ? shellCommandLine([program, ...args]) : undefined;
    return { file, line: asShell ?? commandLine([program, ...args]) };
  }
  if ([file, ...args].some(dangerousForBatch)) {
    const reason = "an argument of a batch file must not contain quotes, percent signs or line breaks";
    throw new SystemError("CreateProcessW", "ERROR_INVALID_PARAMETER", reason, program);
  }
  const shell = process.env.ComSpec ?? "C:\\Windows\\System32\\cmd.exe";
  return { file: shell, line: batchCommandLine(shell, file, args) };
}

/** An environment block: the entries in order of their names, ended by an empty one. */
function environmentBlock(entries: readonly string[]): Buffer {
  const sorted = entries
    .filter((entry) => entry.includes("=", 1))
    .toSorted((a, b) => (a.toUpperCase() < b.toUpperCase() ? -1 : 1));
  return Buffer.from(`${sorted.map((entry) => `${entry}\0`).join("")}\0\0`, "utf16le");
}

const addressOf = (bytes: Uint8Array): bigint => BigInt(ptr(bytes));

interface Streams {
  readonly input: Handle;
  readonly output: Handle;
  readonly error: Handle;
}

/** @returns handles of the process and its first thread, which sleeps still. @throws SystemError */
function create(request: SpawnRequest, streams: Streams): { process: Handle; thread: Handle; pid: number } {
  const { file, line } = resolve(request.argv);
  const handles = BigInt64Array.from(new Set(Object.values(streams)), BigInt);
  const size = new BigUint64Array(1);
  kernel32.InitializeProcThreadAttributeList(null, 1, 0, size);
  const attributes = Buffer.from(new ArrayBuffer(Number(size[0])));
  check(kernel32.InitializeProcThreadAttributeList(attributes, 1, 0, size), "InitializeProcThreadAttributeList");
  try {
    check(
      kernel32.UpdateProcThreadAttribute(
        attributes,
        0,
        PROC_THREAD_ATTRIBUTE_HANDLE_LIST,
        handles,
        handles.byteLength,
        null,
        null,
      ),
      "UpdateProcThreadAttribute",
    );
    const startup = Buffer.alloc(STARTUP.size);
    startup.writeUInt32LE(STARTUP.size, 0);
    startup.writeUInt32LE(STARTF_USESTDHANDLES, STARTUP.flags);
    startup.writeBigInt64LE(BigInt(streams.input), STARTUP.input);
    startup.writeBigInt64LE(BigInt(streams.output), STARTUP.output);
    startup.writeBigInt64LE(BigInt(streams.error), STARTUP.error);
    startup.writeBigUInt64LE(addressOf(attributes), STARTUP.attributes);
    const made = Buffer.alloc(PROCESS.size);
    const flags = CREATE_NO_WINDOW | CREATE_SUSPENDED | CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT;
    check(
      kernel32.CreateProcessW(
        wide(file),
        wide(line),
        null,
        null,
        1,
        flags,
        request.env === undefined ? null : environmentBlock(request.env),
        null,
        startup,
        made,
      ),
      "CreateProcessW",
      request.argv[0],
    );
    return {
      process: Number(made.readBigInt64LE(PROCESS.process)),
      thread: Number(made.readBigInt64LE(PROCESS.thread)),
      pid: made.readUInt32LE(PROCESS.processId),
    };
  } finally {
    kernel32.DeleteProcThreadAttributeList(attributes);
    // The list points to them.
    keepUntilHere(handles);
  }
}

/** Hands all that a pipe gives to `output`, then closes it and says so. @returns closes it early */
function drainPipe(handle: Handle, output: (bytes: Uint8Array) => void, closed: () => void): () => void {
  const reading = createOperation();
  const buffer = Buffer.from(new ArrayBuffer(PIPE_BUFFER));
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    reading.cancel(handle);
    kernel32.CloseHandle(handle);
    closed();
  };
  const read = (): void => {
    const refused = reading.start(
      (overlapped) => kernel32.ReadFile(handle, buffer, buffer.byteLength, null, overlapped),
      [buffer],
      (code, bytes) => {
        if (!open) return;
        if (code !== 0) return close();
        if (bytes > 0) output(buffer.subarray(0, bytes));
        read();
      },
    );
    if (refused !== 0) loop.soon(close);
  };
  read();
  return close;
}

/** Writes all of `input`, then closes the pipe; a child that does not read it is left alone. */
function fillPipe(handle: Handle, input: Uint8Array): () => void {
  const writing = createOperation();
  const bytes = Buffer.from(new ArrayBuffer(input.byteLength));
  bytes.set(input);
  let at = 0;
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    writing.cancel(handle);
    kernel32.CloseHandle(handle);
  };
  const write = (): void => {
    if (at >= bytes.byteLength) return close();
    const start = (Number(ptr(bytes)) + at) as Pointer;
    const refused = writing.start(
      (overlapped) => kernel32.WriteFile(handle, start, bytes.byteLength - at, null, overlapped),
      [bytes],
      (code, count) => {
        if (!open) return;
        at += count;
        if (code !== 0) close();
        else write();
      },
    );
    if (refused !== 0) close();
  };
  write();
  return close;
}

function exitStatus(handle: Handle): ExitStatus {
  const code = new Uint32Array(1);
  kernel32.GetExitCodeProcess(handle, code);
  const status = code[0] ?? 0;
  return status < FIRST_EXCEPTION ? { exitCode: status } : { signal: status };
}

function spawn(request: SpawnRequest, events: SpawnEvents): number {
  const opened: Pipe[] = [];
  const pipe = (direction: "to child" | "from child"): Pipe => {
    const made = openPipe(direction);
    opened.push(made);
    return made;
  };
  const found: { stdin?: Pipe; stdout?: Pipe; stderr?: Pipe } = {};
  let child: ReturnType<typeof create>;
  let job: Handle = 0;
  const nothing = openNull();
  try {
    if (request.input !== undefined) found.stdin = pipe("to child");
    if (request.stdout === "pipe") found.stdout = pipe("from child");
    if (request.stderr === "pipe") found.stderr = pipe("from child");
    const output = found.stdout?.theirs ?? nothing;
    child = create(request, {
      input: found.stdin?.theirs ?? nothing,
      output,
      error: request.stderr === "stdout" ? output : (found.stderr?.theirs ?? nothing),
    });
  } catch (error) {
    for (const { ours } of opened) kernel32.CloseHandle(ours);
    throw error;
  } finally {
    for (const { theirs } of opened) kernel32.CloseHandle(theirs);
    kernel32.CloseHandle(nothing);
  }
  if (request.timeout !== undefined) {
    // What the child starts is in its job too, and ends with it.
    job = Number(kernel32.CreateJobObjectW(null, null));
    if (job !== 0 && kernel32.AssignProcessToJobObject(job, child.process) === 0) {
      kernel32.CloseHandle(job);
      job = 0;
    }
  }
  kernel32.ResumeThread(child.thread);
  kernel32.CloseHandle(child.thread);

  let closeInput = (): void => {};
  const kill = (): void => {
    if (job === 0 || kernel32.TerminateJobObject(job, KILLED) === 0) kernel32.TerminateProcess(child.process, KILLED);
    closeInput();
  };
  const end = watchForEnd(loop, request.timeout, kill, (status) => {
    if (job !== 0) kernel32.CloseHandle(job);
    events.ended(status);
  });
  if (found.stdin !== undefined && request.input !== undefined) closeInput = fillPipe(found.stdin.ours, request.input);
  for (const name of ["stdout", "stderr"] as const) {
    const handle = found[name]?.ours;
    if (handle === undefined) continue;
    end.awaitPipe((closed) => drainPipe(handle, (bytes) => events.output(name, bytes), closed));
  }
  whenSignalled(child.process, () => {
    const status = exitStatus(child.process);
    kernel32.CloseHandle(child.process);
    end.exited(status);
  });
  return child.pid;
}

export const processes: Processes = { spawn };
