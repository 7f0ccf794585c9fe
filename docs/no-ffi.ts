/** Stands in for bun:ffi where a platform's code is only looked at: libraries of another system cannot be opened. */

/** Answers to everything with itself. */
// biome-ignore lint/complexity/useArrowFunction: an arrow function cannot be called with `new`
const anything: unknown = new Proxy(function () {}, {
  get: (_, name) => (name === Symbol.toPrimitive ? () => 0 : anything),
  apply: () => 1,
  construct: () => ({ ptr: 0, close() {} }),
});

export const dlopen = (): unknown => ({ symbols: anything, close() {} });
export const [FFIType, JSCallback, CString, CFunction, linkSymbols, read] = Array.from({ length: 6 }, () => anything);
export const ptr = (): number => 0;
export const toBuffer = (): Buffer => Buffer.alloc(0);
export const toArrayBuffer = (): ArrayBuffer => new ArrayBuffer(0);
