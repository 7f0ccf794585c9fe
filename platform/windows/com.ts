/** COM objects: methods by their place in the vtable, and references that are never forgotten. */
import { CFunction, type FFITypeOrString, type Pointer, read } from "bun:ffi";

/** A method: its place in the vtable, counted from IUnknown's first, and its arguments after `this`. */
export interface Method {
  readonly index: number;
  readonly args: readonly FFITypeOrString[];
}

export const method = (index: number, ...args: FFITypeOrString[]): Method => ({ index, args });

const RELEASE = method(2);
const POINTER_SIZE = 8;

type Call = (...values: unknown[]) => number;

/** Functions by address and shape; the code of an interface does not move. */
const calls = new Map<string, Call>();

function callFor(address: Pointer, args: readonly FFITypeOrString[]): Call {
  const key = `${address} ${args.join()}`;
  let call = calls.get(key);
  if (call === undefined) {
    call = CFunction({ ptr: address, args: ["ptr", ...args], returns: "i32" }) as unknown as Call;
    calls.set(key, call);
  }
  return call;
}

/** Calls a method of an object. @returns its HRESULT: negative when it failed */
export function invoke(object: number, { index, args }: Method, ...values: unknown[]): number {
  const vtable = read.ptr(object as Pointer, 0);
  const address = read.ptr(vtable as Pointer, index * POINTER_SIZE) as Pointer;
  return callFor(address, args)(object, ...values);
}

/** Gives a reference back. */
export const release = (object: number): void => {
  invoke(object, RELEASE);
};

/** References that are given back together, the last one first. */
export interface References {
  /** Takes charge of a reference. */
  add(object: number): number;
  releaseAll(): void;
}

export function createReferences(): References {
  let held: number[] = [];
  return {
    add(object) {
      held.push(object);
      return object;
    },
    releaseAll() {
      const all = held.reverse();
      held = [];
      for (const object of all) release(object);
    },
  };
}
