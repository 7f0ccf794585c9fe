/** Open files of the guest, by handle. Errors are SystemError, or RequestError for what the host asked wrongly. */
import type { Body } from "../channel/body.ts";
import { RequestError } from "../errors.ts";
import { Base64Error, decodeBase64, decodedRoom } from "../framing/base64.ts";
import { type Guest, type OpenFile, type OpenMode, SystemError } from "../guest.ts";
import { spent } from "../memory.ts";

export interface ReadResult {
  readonly count: number;
  readonly "buf-b64": string;
  readonly eof: boolean;
}

/** Takes base64 as it arrives and writes it to a file. */
export interface Writer {
  slice(bytes: Buffer, start: number, end: number): void;
  abort(): string;
  /**
   * Ends the write.
   * @param count how many bytes the host wanted to write
   * @returns how many were written
   */
  finish(count: number | bigint | undefined): number;
}

export interface FileHandles {
  open(path: string, mode: OpenMode): number;
  close(handle: number | bigint): void;
  /** A small read as a value, a large one as a reply that is made while it is sent. */
  read(handle: number | bigint, count: number | bigint): ReadResult | Body;
  write(handle: number | bigint, base64: string, count: number | bigint | undefined): number;
  /** Begins a write whose data is still to come. */
  writer(handle: number | bigint): Writer;
  seek(handle: number | bigint, offset: bigint, whence: "set" | "cur" | "end"): bigint;
  /** Does nothing but find out whether the handle is open. @throws RequestError */
  expect(handle: number | bigint): void;
  flush(handle: number | bigint): void;
}

interface Entry {
  readonly file: OpenFile;
  open: boolean;
  /** An error that came after part of a read had been sent; the next read reports it. */
  failed?: SystemError | undefined;
}

/** The most that one request may read. */
const MAX_READ = 48 * 1024 * 1024;
/** Bytes read at once: a multiple of 3, so that slices of base64 join without padding. */
const SLICE = 96 * 1024;
const PADDING = 0x3d;
/** Room in a reply around the data. */
const FRAME = 128;

const countError = (count: number | bigint, note = ""): RequestError =>
  new RequestError(`value '${count}' is invalid for argument count${note}`);

const soFar = (written: number): string => ` (${written} bytes were written)`;

/**
 * Writes all of it.
 * @param before how many bytes of the same request were written already
 * @throws SystemError which says how many bytes were written, if any
 */
function writeAll(file: OpenFile, bytes: Uint8Array, length: number, before: number): void {
  let done = 0;
  try {
    while (done < length) done += file.write(bytes, done, length);
  } catch (error) {
    if (!(error instanceof SystemError) || before + done === 0) throw error;
    throw new SystemError(error.call, error.code, `${error.reason}${soFar(before + done)}`);
  }
}

/**
 * Takes back the last bytes of a write, which is only possible when nothing of the file was behind them.
 * @returns whether it was done
 */
function takeBack(file: OpenFile, excess: number): boolean {
  try {
    const end = file.seek(0n, "cur");
    if (file.seek(0n, "end") !== end) {
      file.seek(end, "set");
      return false;
    }
    file.truncate(end - BigInt(excess));
    return true;
  } catch (error) {
    if (error instanceof SystemError) return false;
    throw error;
  }
}

/**
 * @param nextHandle gives a handle that was never given before, over restarts too
 * @param frozen whether filesystems are frozen: then a transfer that is under way stops
 */
export function createFileHandles(guest: Guest, nextHandle: () => number, frozen: () => boolean): FileHandles {
  const entries = new Map<number | bigint, Entry>();
  let raw: Buffer | undefined;
  let decoded: Buffer | undefined;

  const find = (handle: number | bigint): Entry => {
    const entry = entries.get(handle);
    if (entry === undefined) throw new RequestError(`handle '${handle}' has not been found`);
    return entry;
  };

  /** Reads a slice and gives it as base64. */
  const readSlice = (entry: Entry, size: number): { readonly base64: string; readonly count: number } => {
    raw ??= Buffer.allocUnsafeSlow(SLICE);
    const count = entry.file.read(raw, 0, size);
    spent(count * 2);
    return { base64: raw.toString("base64", 0, count), count };
  };

  /** A read of more than one slice; the first was made already, so that its errors could be reported. */
  const longRead = (entry: Entry, wanted: number, first: { base64: string; count: number }): Body => {
    let total = first.count;
    let pending: string | undefined = first.base64;
    let eof = first.count < SLICE;
    let begun = false;
    let over = false;
    const more = (room: number): string => {
      if (!entry.open || frozen()) {
        over = true;
        return "";
      }
      const size = Math.min(wanted - total, SLICE, Math.floor((room - FRAME) / 4) * 3);
      try {
        const slice = readSlice(entry, size);
        total += slice.count;
        eof = slice.count < size;
        return slice.base64;
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        entry.failed = error;
        over = true;
        return "";
      }
    };
    return {
      kind: "body",
      next(into, start, end) {
        if (over) return 0;
        let at = start;
        if (!begun) at += into.write('{"buf-b64": "', at, "latin1");
        const base64 = pending ?? more(end - at);
        pending = undefined;
        begun = true;
        at += into.write(base64, at, "latin1");
        if (over || eof || total === wanted) {
          over = true;
          at += into.write(`", "count": ${total}, "eof": ${eof}}`, at, "latin1");
        }
        return at - start;
      },
    };
  };

  /** Decodes into a buffer that is kept for the next slice. */
  const decode = (text: string): { readonly bytes: Uint8Array; readonly count: number } => {
    const room = decodedRoom(text.length);
    if (decoded === undefined || decoded.byteLength < room) decoded = Buffer.allocUnsafeSlow(room);
    spent(text.length);
    return { bytes: decoded, count: decodeBase64(text, decoded) };
  };

  const createWriter = (entry: Entry): Writer => {
    let written = 0;
    /** Characters that do not make a group of four yet, or might be the last group. */
    let carry = "";
    let failure: Error | undefined;
    const attempt = (text: string): void => {
      try {
        if (!entry.open || frozen()) throw new Base64Error("the write was interrupted");
        const { bytes, count } = decode(text);
        writeAll(entry.file, bytes, count, written);
        written += count;
      } catch (error) {
        if (!(error instanceof Base64Error || error instanceof SystemError)) throw error;
        failure = error;
      }
    };
    return {
      slice(bytes, from, to) {
        if (failure !== undefined) return;
        const fresh = bytes.toString("latin1", from, to);
        const text = fresh.includes("\n") ? carry + fresh.replaceAll("\n", "") : carry + fresh;
        const groups = text.length - (text.length % 4);
        // A padded group must be the last one: it waits until that is known.
        const whole = text.charCodeAt(groups - 1) === PADDING ? groups - 4 : groups;
        carry = text.slice(whole);
        if (carry.length > 8) attempt("=");
        else if (whole > 0) attempt(text.slice(0, whole));
      },
      abort: () => soFar(written),
      finish(count) {
        if (failure === undefined && carry !== "") attempt(carry);
        if (failure instanceof Base64Error) throw new Base64Error(`${failure.message}${soFar(written)}`);
        if (failure !== undefined) throw failure;
        if (count === undefined || BigInt(count) === BigInt(written)) return written;
        if (count < 0 || count > written || !takeBack(entry.file, written - Number(count))) {
          throw countError(count, soFar(written));
        }
        return Number(count);
      },
    };
  };

  return {
    open(path, mode) {
      const file = guest.files.open(path, mode);
      const handle = nextHandle();
      entries.set(handle, { file, open: true });
      return handle;
    },
    close(handle) {
      const entry = find(handle);
      entries.delete(handle);
      entry.open = false;
      entry.file.close();
    },
    read(handle, wanted) {
      const entry = find(handle);
      if (wanted < 0 || wanted > MAX_READ) throw countError(wanted);
      const count = Number(wanted);
      if (entry.failed !== undefined) {
        const error = entry.failed;
        entry.failed = undefined;
        throw error;
      }
      const slice = readSlice(entry, Math.min(count, SLICE));
      if (count <= SLICE) return { count: slice.count, "buf-b64": slice.base64, eof: slice.count < count };
      return longRead(entry, count, slice);
    },
    write(handle, base64, count) {
      const entry = find(handle);
      const { bytes, count: length } = decode(base64);
      if (count !== undefined && (count < 0 || count > length)) throw countError(count);
      const wanted = count === undefined ? length : Number(count);
      writeAll(entry.file, bytes, wanted, 0);
      return wanted;
    },
    writer: (handle) => createWriter(find(handle)),
    seek: (handle, offset, whence) => find(handle).file.seek(offset, whence),
    expect: (handle) => {
      find(handle);
    },
    flush: (handle) => find(handle).file.flush(),
  };
}
