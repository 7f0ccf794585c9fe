/** guest-file-*: files by handle, as fopen(3) and its kin would treat them. */
import type { Writer } from "../../../capability/files.ts";
import { type OpenMode, SystemError } from "../../../guest.ts";
import { command } from "../command.ts";
import { QgaError } from "../errors.ts";
import { alternate, boolean, enumeration, int64, optional, string, struct } from "../wire.ts";

const DEFAULT_READ = 4096;

const MODES: ReadonlyMap<string, OpenMode> = new Map([
  ["r", "r"],
  ["rb", "r"],
  ["w", "w"],
  ["wb", "w"],
  ["a", "a"],
  ["ab", "a"],
  ["r+", "r+"],
  ["rb+", "r+"],
  ["r+b", "r+"],
  ["w+", "w+"],
  ["wb+", "w+"],
  ["w+b", "w+"],
  ["a+", "a+"],
  ["ab+", "a+"],
  ["a+b", "a+"],
]);

const WHENCE = ["set", "cur", "end"] as const;

/** Does it, and words a failed system call as qemu-ga does: "failed to read file: Bad file descriptor". */
function wording<T>(what: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof SystemError) throw new QgaError(`${what}: ${error.reason}`);
    throw error;
  }
}

export const fileOpen = command({
  name: "guest-file-open",
  since: "0.15.0",
  summary: "Opens a file and returns a handle for it; the mode is one of fopen(3), `r` when left out.",
  arguments: { path: string, mode: optional(string) },
  returns: int64,
  run({ path, mode = "r" }, { files, log }) {
    log.account(`guest-file-open called, filepath: ${path}, mode: ${mode}`);
    const how = MODES.get(mode);
    if (how === undefined) throw new QgaError(`invalid file open mode '${mode}'`);
    return wording(`failed to open file '${path}' (mode: '${mode}')`, () => files.open(path, how));
  },
});

export const fileClose = command({
  name: "guest-file-close",
  since: "0.15.0",
  summary: "Closes a handle.",
  arguments: { handle: int64 },
  returns: struct({}),
  run({ handle }, { files }) {
    wording("failed to close handle", () => files.close(handle));
    return {};
  },
});

export const fileRead = command({
  name: "guest-file-read",
  since: "0.15.0",
  summary: "Reads up to `count` bytes (4096 when left out, 48 MiB at most); `eof` says that fewer were there.",
  arguments: { handle: int64, count: optional(int64) },
  returns: struct({ count: int64, "buf-b64": string, eof: boolean }),
  run({ handle, count = DEFAULT_READ }, { files }) {
    return wording("failed to read file", () => files.read(handle, count));
  },
});

export const fileWrite = command({
  name: "guest-file-write",
  since: "0.15.0",
  summary: "Writes base64 data, or the first `count` bytes of it. Line feeds in the data are passed over.",
  arguments: { handle: int64, "buf-b64": string, count: optional(int64) },
  returns: struct({ count: int64, eof: boolean }),
  streamed: {
    member: "buf-b64",
    needs: ["handle"],
    begin: ({ handle }, { files }): Writer | undefined => (handle === undefined ? undefined : files.writer(handle)),
  },
  run({ handle, "buf-b64": data, count }, { files }, writer) {
    const written = wording("failed to write to file", () =>
      writer === undefined ? files.write(handle, data, count) : writer.finish(count),
    );
    return { count: written, eof: false };
  },
});

export const fileSeek = command({
  name: "guest-file-seek",
  since: "0.15.0",
  summary: "Moves the position as fseek(3) does and returns the new one.",
  arguments: {
    handle: int64,
    offset: int64,
    whence: alternate("GuestFileWhence", { number: int64, string: enumeration(WHENCE) }),
  },
  returns: struct({ position: int64, eof: boolean }),
  run({ handle, offset, whence }, { files }) {
    const from = typeof whence === "string" ? whence : WHENCE[Number(whence)];
    files.expect(handle);
    if (from === undefined) throw new QgaError(`invalid whence code ${whence}`);
    const position = wording("failed to seek file", () => files.seek(handle, BigInt(offset), from));
    return { position, eof: false };
  },
});

export const fileFlush = command({
  name: "guest-file-flush",
  since: "0.15.0",
  summary: "Hands what was written to the kernel. Nothing is held back, so that this only checks the handle.",
  arguments: { handle: int64 },
  returns: struct({}),
  run({ handle }, { files }) {
    wording("failed to flush file", () => files.flush(handle));
    return {};
  },
});
