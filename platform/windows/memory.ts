/** Memory that Windows owns, read through its address. */
import { type Pointer, toBuffer } from "bun:ffi";

/** A view of `length` bytes at an address; valid as long as their owner keeps them. */
export const bytesAt = (address: number, length: number): Buffer => toBuffer(address as Pointer, 0, length);

/** The address that is stored in a buffer; 0 is NULL. */
export const addressIn = (bytes: Buffer, offset: number): number => Number(bytes.readBigUInt64LE(offset));

const held = new Set<unknown>();

/**
 * Keeps from the collector what a pointer was taken of: it must be there until the last call that follows the pointer
 * is over, so name it behind that call.
 */
export function keepUntilHere(...things: readonly unknown[]): void {
  for (const thing of things) {
    held.add(thing);
    held.delete(thing);
  }
}

/** The nodes of a list whose members hold the address of the next. */
export function* linked(first: number, size: number, nextOffset: number): Generator<Buffer> {
  for (let address = first; address !== 0; ) {
    const node = bytesAt(address, size);
    yield node;
    address = addressIn(node, nextOffset);
  }
}
