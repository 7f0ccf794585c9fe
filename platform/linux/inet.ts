/** Internet addresses as text, spelt as inet_ntop(3) spells them. */

/** @returns `a.b.c.d` of the four bytes at `at`. */
export const ipv4Text = (bytes: Uint8Array, at: number): string =>
  `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;

/** @returns the 16 bytes at `at` with the longest run of zero groups, the first of equals, as `::`. */
export function ipv6Text(bytes: Uint8Array, at: number): string {
  let runStart = -1;
  let runLength = 1;
  let length = 0;
  for (let group = 0; group < 8; group++) {
    const isZero = bytes[at + 2 * group] === 0 && bytes[at + 2 * group + 1] === 0;
    length = isZero ? length + 1 : 0;
    if (length > runLength) {
      runLength = length;
      runStart = group - length + 1;
    }
  }
  const groups = (from: number, to: number): string => {
    let text = "";
    for (let group = from; group < to; group++) {
      const value = ((bytes[at + 2 * group] ?? 0) << 8) | (bytes[at + 2 * group + 1] ?? 0);
      text += `${group > from ? ":" : ""}${value.toString(16)}`;
    }
    return text;
  };
  if (runStart < 0) return groups(0, 8);
  const isMapped = runLength === 5 && bytes[at + 10] === 0xff && bytes[at + 11] === 0xff;
  if (runStart === 0 && (runLength === 6 || isMapped)) return `::${isMapped ? "ffff:" : ""}${ipv4Text(bytes, at + 12)}`;
  return `${groups(0, runStart)}::${groups(runStart + runLength, 8)}`;
}
