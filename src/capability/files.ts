/** Open files of the guest, by handle. Errors are SystemError, or RequestError for what the host asked wrongly. */
import type { Body } from "../channel/body.ts";
import { RequestError } from "../errors.ts";
import { Base64Error, decodeBase64, decodedRoom } from "../framing/base64.ts";
import { type Guest, type OpenFile, type OpenMode, SystemError } from "../guest.ts";
import { passed, spent } from "../memory.ts";

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
  /** The reply, `{"count": 3, "buf-b64": "YWJj", "eof": false}`, which is made while it is sent. */
  read(handle: number | bigint, count: number | bigint): Body;
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

/** Bytes read at once, as base64. */
interface Slice {
  readonly base64: string;
  /** How many bytes. */
  readonly count: number;
}

/** The most that one request may read. */
const MAX_READ = 48 * 1024 * 1024;
/**
 * Bytes read and encoded at once: a multiple of 3, so that slices of base64 join without padding. Strings of the 96 KiB
 * that come out of it have a size of their own in the allocator, and one page of it (4 MiB) for all that there are.
 */
const SLICE = 72 * 1024;
/**
 * Bytes decoded at once, a multiple of 3 too: short strings are garbage whose memory is soon used again. A string of so
 * many with what the engine puts before it just fits into the 16 KiB that the allocator has for it.
 */
const PIECE = 12 * 1024 - 48;
const LINE_FEED = 0x0a;
const PADDING = 0x3d;
/** Room for decoded bytes that is larger is given back after use. */
const KEPT = 256 * 1024;
/** Room in a reply around the data. */
const FRAME = 128;

const countError = (count: number | bigint, note = ""): RequestError =>
  new RequestError(`value '${count}' is invalid for argument count${note}`);

/** Writes bytes as base64. @returns characters written */
function encode(bytes: Buffer, length: number, into: Buffer, start: number): number {
  const text = bytes.toString("base64", 0, length);
  passed(text);
  return into.write(text, start, "latin1");
}

/** Decodes whole groups of base64. @returns bytes written. @throws Base64Error */
function decode(base64: Buffer, start: number, end: number, into: Buffer): number {
  let at = 0;
  for (let from = start; from < end; from += (PIECE / 3) * 4) {
    const text = base64.toString("latin1", from, Math.min(from + (PIECE / 3) * 4, end));
    at += decodeBase64(text, into.subarray(at));
    passed(text);
  }
  return at;
}

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

  const room = (): Buffer => {
    raw ??= Buffer.allocUnsafeSlow(SLICE);
    return raw;
  };

  /** Reads the first slice of a reply before anything of it is sent, so that an error is one. */
  const readFirst = (entry: Entry, size: number): Slice => {
    const count = entry.file.read(room(), 0, size);
    spent(count * 2);
    return { base64: room().toString("base64", 0, count), count };
  };

  /** A read of one slice. */
  const shortRead = (wanted: number, slice: Slice): Body => {
    let over = false;
    return {
      kind: "body",
      get over() {
        return over;
      },
      next(into, start) {
        over = true;
        let at = start + into.write(`{"count": ${slice.count}, "buf-b64": "`, start, "latin1");
        at += into.write(slice.base64, at, "latin1");
        return at + into.write(`", "eof": ${slice.count < wanted}}`, at, "latin1") - start;
      },
    };
  };

  /** A read of several slices. */
  const longRead = (entry: Entry, wanted: number, first: Slice): Body => {
    let total = 0;
    let eof = false;
    let over = false;
    const count = (read: number, size: number): void => {
      total += read;
      eof = read < size;
    };
    /** Reads the next slice and puts it into the reply. @returns characters written */
    const more = (into: Buffer, start: number, end: number): number => {
      const size = Math.min(wanted - total, SLICE, Math.floor((end - start - FRAME) / 4) * 3);
      const read = entry.file.read(room(), 0, size);
      count(read, size);
      return encode(room(), read, into, start);
    };
    return {
      kind: "body",
      get over() {
        return over;
      },
      next(into, start, end) {
        let at = start;
        if (total === 0) {
          at += into.write('{"buf-b64": "', at, "latin1");
          at += into.write(first.base64, at, "latin1");
          count(first.count, SLICE);
        } else if (!entry.open || frozen()) over = true;
        else {
          try {
            at += more(into, at, end);
          } catch (error) {
            if (!(error instanceof SystemError)) throw error;
            entry.failed = error;
            over = true;
          }
        }
        over ||= eof || total === wanted;
        if (over) at += into.write(`", "count": ${total}, "eof": ${eof}}`, at, "latin1");
        return at - start;
      },
    };
  };

  const roomFor = (characters: number): Buffer => {
    const room = decodedRoom(characters);
    if (decoded === undefined || decoded.byteLength < room) decoded = Buffer.allocUnsafeSlow(room);
    return decoded;
  };

  const createWriter = (entry: Entry): Writer => {
    let written = 0;
    /** Characters that do not make a group of four yet. */
    const group = Buffer.alloc(4);
    let grouped = 0;
    let padded = false;
    let failure: Error | undefined;
    /** Writes whole groups of four; only the last of all may be padded. */
    const attempt = (base64: Buffer, from: number, to: number): void => {
      if (failure !== undefined) return;
      try {
        if (!entry.open || frozen()) throw new Base64Error("the write was interrupted");
        if (padded) throw new Base64Error("Base64 data goes on behind its end");
        padded = base64[to - 1] === PADDING;
        const bytes = roomFor(to - from);
        const count = decode(base64, from, to, bytes);
        writeAll(entry.file, bytes, count, written);
        written += count;
      } catch (error) {
        if (!(error instanceof Base64Error || error instanceof SystemError)) throw error;
        failure = error;
      }
    };
    const attemptGroup = (): void => {
      attempt(group, 0, grouped);
      grouped = 0;
    };
    return {
      slice(bytes, from, to) {
        // A line feed was escaped, and comes alone.
        if (to - from === 1 && bytes[from] === LINE_FEED) return;
        let at = from;
        while (grouped > 0 && grouped < 4 && at < to) group[grouped++] = bytes[at++]!;
        if (grouped === 4) attemptGroup();
        const whole = to - ((to - at) % 4);
        if (whole > at) attempt(bytes, at, whole);
        for (at = whole; at < to; at++) group[grouped++] = bytes[at]!;
      },
      abort: () => soFar(written),
      finish(count) {
        if (failure === undefined && grouped > 0) attemptGroup();
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
      const first = readFirst(entry, Math.min(count, SLICE));
      return count <= SLICE ? shortRead(count, first) : longRead(entry, count, first);
    },
    write(handle, base64, count) {
      const entry = find(handle);
      const bytes = roomFor(base64.length);
      const length = decodeBase64(base64, bytes);
      spent(base64.length);
      if (count !== undefined && (count < 0 || count > length)) throw countError(count);
      const wanted = count === undefined ? length : Number(count);
      writeAll(entry.file, bytes, wanted, 0);
      if (bytes.byteLength > KEPT) decoded = undefined;
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
