/** Discarding what a filesystem does not use (FITRIM of <linux/fs.h>). */
import { EOPNOTSUPP, errno, errorText, libc } from "./libc.ts";

const O_RDONLY = 0;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const ENOTTY = 25;

/** _IOWR('X', 121, struct fstrim_range) */
const FITRIM = 0xc0185879;
/** struct fstrim_range: which word each member is. */
const RANGE = { words: 3, start: 0, length: 1, minimum: 2 } as const;
const WHOLE_FILESYSTEM = 2n ** 64n - 1n;

/** Bytes discarded and the smallest extent that was in effect, or why it could not be done. */
export type Trimmed = { readonly trimmed: bigint; readonly minimum: bigint } | { readonly error: string };

/**
 * Discards all free extents of at least `minimum` bytes. It takes as long as the disk takes.
 * @param path the mountpoint, ended by NUL
 */
export function trimFilesystem(path: Uint8Array, minimum: bigint): Trimmed {
  // A file may be a mountpoint too, and waiting for the writer of a pipe would never end.
  const fd = libc.open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
  if (fd < 0) return { error: `failed to open: ${errorText(errno())}` };
  const range = new BigUint64Array(RANGE.words);
  range[RANGE.length] = WHOLE_FILESYSTEM;
  range[RANGE.minimum] = minimum;
  const code = libc.ioctl(fd, FITRIM, range) === -1 ? errno() : 0;
  libc.close(fd);
  if (code === ENOTTY || code === EOPNOTSUPP) return { error: "trim not supported" };
  if (code !== 0) return { error: `failed to trim: ${errorText(code)}` };
  const { [RANGE.length]: trimmed = 0n, [RANGE.minimum]: effective = 0n } = range;
  return { trimmed: BigInt.asIntN(64, trimmed), minimum: BigInt.asIntN(64, effective) };
}
