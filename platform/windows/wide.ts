/** Text as Windows has it: UTF-16, ended by NUL. */
import { type Pointer, read } from "bun:ffi";

/** A string for a call. Keep the result referenced until the call is over. */
export const wide = (text: string): Buffer => Buffer.from(`${text}\0`, "utf16le");

/** Room for so many characters. */
export const wideRoom = (characters: number): Buffer => Buffer.alloc(characters * 2);

/** The text in a buffer, up to its NUL or end. */
export function fromWide(bytes: Buffer, start = 0, end = bytes.byteLength): string {
  const text = bytes.toString("utf16le", start, end);
  const nul = text.indexOf("\0");
  // A lone surrogate has no place in UTF-8, and so none in a reply.
  return (nul < 0 ? text : text.slice(0, nul)).toWellFormed();
}

/** The strings of a list in which each is ended by NUL and the list by an empty one. */
export function fromWideList(bytes: Buffer): string[] {
  const texts: string[] = [];
  for (const text of bytes.toString("utf16le").split("\0")) {
    if (text === "") break;
    texts.push(text.toWellFormed());
  }
  return texts;
}

/** Longer strings behind a pointer are cut: a pointer that went astray must not read on for ever. */
const LONGEST = 32_768;

/** The string that a pointer points to; empty for NULL. */
export function wideAt(address: Pointer | number | null): string {
  if (address === null || Number(address) === 0) return "";
  const characters: number[] = [];
  // A string may end at the end of a page: never read beyond its NUL.
  const at = Number(address);
  for (let index = 0; index < LONGEST; index++) {
    const character = read.u16(at as Pointer, index * 2);
    if (character === 0) break;
    characters.push(character);
  }
  return String.fromCharCode(...characters).toWellFormed();
}
