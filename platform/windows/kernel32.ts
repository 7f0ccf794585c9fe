/**
 * kernel32.dll, opened once: files, handles, processes, the completion port, time.
 *
 * A HANDLE is a `Handle`: kernel handles fit in 32 bits, also those of 64-bit processes. A call that fails is turned
 * into a typed error by `errors.ts`, which must follow at once: whatever runs in between may change the last error.
 */
import { dlopen, FFIType } from "bun:ffi";

/** A kernel handle; `INVALID_HANDLE` where a call gives INVALID_HANDLE_VALUE, 0 where it gives NULL. */
export type Handle = number;
export const INVALID_HANDLE: Handle = -1;

const handle = FFIType.i64_fast;

export const kernel32 = dlopen("kernel32.dll", {
  AssignProcessToJobObject: { args: ["i64", "i64"], returns: "i32" },
  CancelIoEx: { args: ["i64", "ptr"], returns: "i32" },
  CloseHandle: { args: ["i64"], returns: "i32" },
  ConnectNamedPipe: { args: ["i64", "ptr"], returns: "i32" },
  CreateEventW: { args: ["ptr", "i32", "i32", "ptr"], returns: handle },
  CreateFileW: { args: ["ptr", "u32", "u32", "ptr", "u32", "u32", "i64"], returns: handle },
  CreateIoCompletionPort: { args: ["i64", "i64", "usize", "u32"], returns: handle },
  CreateJobObjectW: { args: ["ptr", "ptr"], returns: handle },
  CreateNamedPipeW: { args: ["ptr", "u32", "u32", "u32", "u32", "u32", "u32", "ptr"], returns: handle },
  CreateProcessW: {
    args: ["ptr", "ptr", "ptr", "ptr", "i32", "u32", "ptr", "ptr", "ptr", "ptr"],
    returns: "i32",
  },
  CreateThread: { args: ["ptr", "usize", "ptr", "ptr", "u32", "ptr"], returns: handle },
  DeleteProcThreadAttributeList: { args: ["ptr"], returns: "void" },
  DeviceIoControl: { args: ["i64", "u32", "ptr", "u32", "ptr", "u32", "ptr", "ptr"], returns: "i32" },
  FileTimeToSystemTime: { args: ["ptr", "ptr"], returns: "i32" },
  FindFirstVolumeW: { args: ["ptr", "u32"], returns: handle },
  FindNextVolumeW: { args: ["i64", "ptr", "u32"], returns: "i32" },
  FindVolumeClose: { args: ["i64"], returns: "i32" },
  FreeLibrary: { args: ["ptr"], returns: "i32" },
  FlushFileBuffers: { args: ["i64"], returns: "i32" },
  FormatMessageW: { args: ["u32", "i64", "u32", "u32", "ptr", "u32", "ptr"], returns: "u32" },
  GetActiveProcessorCount: { args: ["u16"], returns: "u32" },
  GetComputerNameW: { args: ["ptr", "ptr"], returns: "i32" },
  GetComputerNameExW: { args: ["u32", "ptr", "ptr"], returns: "i32" },
  GetCurrentProcess: { args: [], returns: handle },
  GetDiskFreeSpaceExW: { args: ["ptr", "ptr", "ptr", "ptr"], returns: "i32" },
  GetDriveTypeW: { args: ["ptr"], returns: "u32" },
  GetExitCodeProcess: { args: ["i64", "ptr"], returns: "i32" },
  GetFileType: { args: ["i64"], returns: "u32" },
  GetLastError: { args: [], returns: "u32" },
  GetModuleHandleW: { args: ["ptr"], returns: "ptr" },
  GetNativeSystemInfo: { args: ["ptr"], returns: "void" },
  GetProcAddress: { args: ["ptr", "ptr"], returns: "ptr" },
  GetQueuedCompletionStatusEx: { args: ["i64", "ptr", "u32", "ptr", "u32", "i32"], returns: "i32" },
  GetStdHandle: { args: ["u32"], returns: handle },
  GetSystemTimePreciseAsFileTime: { args: ["ptr"], returns: "void" },
  GetTickCount64: { args: [], returns: FFIType.u64_fast },
  GetTimeZoneInformation: { args: ["ptr"], returns: "u32" },
  GetVolumeInformationW: {
    args: ["ptr", "ptr", "u32", "ptr", "ptr", "ptr", "ptr", "u32"],
    returns: "i32",
  },
  GetVolumePathNamesForVolumeNameW: { args: ["ptr", "ptr", "u32", "ptr"], returns: "i32" },
  GlobalMemoryStatusEx: { args: ["ptr"], returns: "i32" },
  InitializeProcThreadAttributeList: { args: ["ptr", "u32", "u32", "ptr"], returns: "i32" },
  K32GetPerformanceInfo: { args: ["ptr", "u32"], returns: "i32" },
  LoadLibraryExW: { args: ["ptr", "i64", "u32"], returns: "ptr" },
  LocalFree: { args: ["ptr"], returns: "ptr" },
  MoveFileExW: { args: ["ptr", "ptr", "u32"], returns: "i32" },
  QueryDosDeviceW: { args: ["ptr", "ptr", "u32"], returns: "u32" },
  ReadFile: { args: ["i64", "ptr", "u32", "ptr", "ptr"], returns: "i32" },
  RegisterWaitForSingleObject: { args: ["ptr", "i64", "ptr", "ptr", "u32", "u32"], returns: "i32" },
  ResetEvent: { args: ["i64"], returns: "i32" },
  ResumeThread: { args: ["i64"], returns: "u32" },
  SearchPathW: { args: ["ptr", "ptr", "ptr", "u32", "ptr", "ptr"], returns: "u32" },
  SetComputerNameExW: { args: ["u32", "ptr"], returns: "i32" },
  SetConsoleCtrlHandler: { args: ["ptr", "i32"], returns: "i32" },
  SetCommState: { args: ["i64", "ptr"], returns: "i32" },
  GetCommState: { args: ["i64", "ptr"], returns: "i32" },
  SetCommTimeouts: { args: ["i64", "ptr"], returns: "i32" },
  SetEndOfFile: { args: ["i64"], returns: "i32" },
  SetEvent: { args: ["i64"], returns: "i32" },
  SetFilePointerEx: { args: ["i64", "i64", "ptr", "u32"], returns: "i32" },
  SetNamedPipeHandleState: { args: ["i64", "ptr", "ptr", "ptr"], returns: "i32" },
  SetSystemTime: { args: ["ptr"], returns: "i32" },
  TerminateJobObject: { args: ["i64", "u32"], returns: "i32" },
  TerminateProcess: { args: ["i64", "u32"], returns: "i32" },
  UnregisterWaitEx: { args: ["i64", "i64"], returns: "i32" },
  UpdateProcThreadAttribute: {
    args: ["ptr", "u32", "usize", "ptr", "usize", "ptr", "ptr"],
    returns: "i32",
  },
  VirtualAlloc: { args: ["ptr", "usize", "u32", "u32"], returns: "ptr" },
  VirtualProtect: { args: ["ptr", "usize", "u32", "ptr"], returns: "i32" },
  WaitForSingleObject: { args: ["i64", "u32"], returns: "u32" },
  WriteFile: { args: ["i64", "ptr", "u32", "ptr", "ptr"], returns: "i32" },
}).symbols;
