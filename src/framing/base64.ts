/** Base64 as RFC 4648 has it; line feeds are passed over, anything else is refused. */

import { RequestError } from "../errors.ts";

/** Bytes that are no base64. */
export class Base64Error extends RequestError {
  override name = "Base64Error";
}

const invalid = (): Base64Error => new Base64Error("Base64 data contains invalid characters");
const incomplete = (): Base64Error => new Base64Error("Base64 data is incomplete: its length is not a multiple of 4");

const FOREIGN = /[^A-Za-z0-9+/=]/;

/** Bytes that so many characters can stand for. */
export const decodedRoom = (characters: number): number => Math.ceil(characters / 4) * 3;

/**
 * Decodes whole groups of four into `into`.
 * @returns how many bytes
 * @throws Base64Error
 */
export function decodeBase64(text: string, into: Uint8Array): number {
  const plain = text.includes("\n") ? text.replaceAll("\n", "") : text;
  if (plain.length % 4 !== 0) throw FOREIGN.test(plain) ? invalid() : incomplete();
  let written: number;
  try {
    ({ written } = into.setFromBase64(plain, { lastChunkHandling: "loose" }));
  } catch (error) {
    if (error instanceof SyntaxError) throw invalid();
    throw error;
  }
  const padding = plain.endsWith("==") ? 2 : plain.endsWith("=") ? 1 : 0;
  // The decoder skips blanks, which then show as missing bytes.
  if (written !== (plain.length / 4) * 3 - padding) throw invalid();
  return written;
}
