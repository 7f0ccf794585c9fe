/**
 * Native code that turns a callback of Windows into a packet of the completion port.
 *
 * Windows calls back on threads of its own, where no JavaScript may run. So each callback is a few instructions, made
 * here, that put what they were told into the port on which the main thread sleeps. They follow the x64 calling
 * convention: arguments in rcx, rdx, r8, r9; 32 bytes of room for the callee above the return address.
 */
import { type Pointer, toBuffer } from "bun:ffi";
import { check } from "./errors.ts";
import { type Handle, kernel32 } from "./kernel32.ts";

const MEM_COMMIT_RESERVE = 0x3000;
const PAGE_READWRITE = 0x04;
const PAGE_EXECUTE_READ = 0x20;

/** The address of a function that some DLL exports. @throws SystemError */
export function procedure(module: string, name: string): number {
  const dll = kernel32.GetModuleHandleW(Buffer.from(`${module}\0`, "utf16le"));
  check(Number(dll), "GetModuleHandleW", module);
  return check(Number(kernel32.GetProcAddress(dll, Buffer.from(`${name}\0`))), "GetProcAddress", name);
}

const dword = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);

export const qword = (value: number): number[] => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
  return [...bytes];
};

/** Puts code where it can be run, and never be written again. @throws SystemError */
export function executable(code: readonly number[]): Pointer {
  const address = kernel32.VirtualAlloc(null, code.length, MEM_COMMIT_RESERVE, PAGE_READWRITE);
  check(Number(address), "VirtualAlloc");
  toBuffer(address as Pointer, 0, code.length).set(code);
  const before = new Uint32Array(1);
  check(kernel32.VirtualProtect(address, code.length, PAGE_EXECUTE_READ, before), "VirtualProtect");
  return address as Pointer;
}

/** Where a callback's facts go in the packet: each is moved into place by these instructions. */
export interface PostingCode {
  /** Leaves the number of bytes (32 bits) in edx. */
  readonly bytes: readonly number[];
  /** Leaves the value of the OVERLAPPED field in r9. */
  readonly value: readonly number[];
}

/**
 * A function that posts a packet and returns.
 * @param port the completion port
 * @param key the packet's key
 * @param code how the packet is filled; `value` runs first and may use all arguments
 * @param result what the function returns, in eax
 * @throws SystemError
 */
export function postingFunction(port: Handle, key: number, code: PostingCode, result: number): Pointer {
  return executable([
    ...[0x48, 0x83, 0xec, 0x28], // sub rsp, 40: room for the callee, aligned to 16
    ...code.value,
    ...code.bytes,
    ...[0x48, 0xb9, ...qword(port)], // mov rcx, port
    ...[0x49, 0xb8, ...qword(key)], // mov r8, key
    ...[0x48, 0xb8, ...qword(procedure("kernel32.dll", "PostQueuedCompletionStatus"))], // mov rax, function
    ...[0xff, 0xd0], // call rax
    ...[0xb8, ...dword(result)], // mov eax, result
    ...[0x48, 0x83, 0xc4, 0x28], // add rsp, 40
    ...[0xc3], // ret
  ]);
}
