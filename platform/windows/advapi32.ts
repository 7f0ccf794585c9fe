/** advapi32.dll: tokens and privileges, security descriptors, the registry, services, the event log. */
import { dlopen, FFIType } from "bun:ffi";
import { lazily } from "./lazy.ts";

const handle = FFIType.i64_fast;

export const advapi32 = dlopen("advapi32.dll", {
  AdjustTokenPrivileges: { args: ["i64", "i32", "ptr", "u32", "ptr", "ptr"], returns: "i32" },
  ChangeServiceConfig2W: { args: ["i64", "u32", "ptr"], returns: "i32" },
  CloseServiceHandle: { args: ["i64"], returns: "i32" },
  ConvertStringSecurityDescriptorToSecurityDescriptorW: { args: ["ptr", "u32", "ptr", "ptr"], returns: "i32" },
  CreateServiceW: {
    args: ["i64", "ptr", "ptr", "u32", "u32", "u32", "u32", "ptr", "ptr", "ptr", "ptr", "ptr", "ptr"],
    returns: handle,
  },
  ControlService: { args: ["i64", "u32", "ptr"], returns: "i32" },
  DeleteService: { args: ["i64"], returns: "i32" },
  InitiateSystemShutdownExW: { args: ["ptr", "ptr", "u32", "i32", "i32", "u32"], returns: "i32" },
  ConvertSidToStringSidW: { args: ["ptr", "ptr"], returns: "i32" },
  LookupAccountNameW: { args: ["ptr", "ptr", "ptr", "ptr", "ptr", "ptr", "ptr"], returns: "i32" },
  LookupPrivilegeValueW: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
  OpenProcessToken: { args: ["i64", "u32", "ptr"], returns: "i32" },
  OpenSCManagerW: { args: ["ptr", "ptr", "u32"], returns: handle },
  OpenServiceW: { args: ["i64", "ptr", "u32"], returns: handle },
  QueryServiceStatus: { args: ["i64", "ptr"], returns: "i32" },
  RegCloseKey: { args: ["i64"], returns: "i32" },
  RegCreateKeyExW: {
    args: ["i64", "ptr", "u32", "ptr", "u32", "u32", "ptr", "ptr", "ptr"],
    returns: "i32",
  },
  RegDeleteTreeW: { args: ["i64", "ptr"], returns: "i32" },
  RegEnumKeyExW: { args: ["i64", "u32", "ptr", "ptr", "ptr", "ptr", "ptr", "ptr"], returns: "i32" },
  RegOpenKeyExW: { args: ["i64", "ptr", "u32", "u32", "ptr"], returns: "i32" },
  RegQueryValueExW: { args: ["i64", "ptr", "ptr", "ptr", "ptr", "ptr"], returns: "i32" },
  RegSetValueExW: { args: ["i64", "ptr", "u32", "u32", "ptr", "u32"], returns: "i32" },
  RegisterEventSourceW: { args: ["ptr", "ptr"], returns: handle },
  RegisterServiceCtrlHandlerExW: { args: ["ptr", "ptr", "ptr"], returns: handle },
  ReportEventW: { args: ["i64", "u16", "u16", "u32", "ptr", "u16", "u32", "ptr", "ptr"], returns: "i32" },
  SetFileSecurityW: { args: ["ptr", "u32", "ptr"], returns: "i32" },
  SetServiceStatus: { args: ["i64", "ptr"], returns: "i32" },
}).symbols;

/** What only those ask who look at the system from outside of the agent. */
export const advapi32Questions = lazily(
  () =>
    dlopen("advapi32.dll", {
      GetTokenInformation: { args: ["i64", "u32", "ptr", "u32", "ptr"], returns: "i32" },
      QueryServiceConfig2W: { args: ["i64", "u32", "ptr", "u32", "ptr"], returns: "i32" },
      QueryServiceConfigW: { args: ["i64", "ptr", "u32", "ptr"], returns: "i32" },
      QueryServiceStatusEx: { args: ["i64", "u32", "ptr", "u32", "ptr"], returns: "i32" },
    }).symbols,
);
