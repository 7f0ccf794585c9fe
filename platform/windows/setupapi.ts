/** setupapi.dll and cfgmgr32.dll: devices and their properties. */
import { dlopen, FFIType } from "bun:ffi";
import { lazily } from "./lazy.ts";

export const setupapi = lazily(
  () =>
    dlopen("setupapi.dll", {
      CM_Get_Device_IDW: { args: ["u32", "ptr", "u32", "u32"], returns: "u32" },
      CM_Get_Parent: { args: ["ptr", "u32", "u32"], returns: "u32" },
      SetupDiDestroyDeviceInfoList: { args: ["i64"], returns: "i32" },
      SetupDiEnumDeviceInfo: { args: ["i64", "u32", "ptr"], returns: "i32" },
      SetupDiEnumDeviceInterfaces: { args: ["i64", "ptr", "ptr", "u32", "ptr"], returns: "i32" },
      SetupDiGetClassDevsW: { args: ["ptr", "ptr", "i64", "u32"], returns: FFIType.i64_fast },
      SetupDiGetDeviceInterfaceDetailW: { args: ["i64", "ptr", "ptr", "u32", "ptr", "ptr"], returns: "i32" },
      SetupDiGetDevicePropertyW: {
        args: ["i64", "ptr", "ptr", "ptr", "ptr", "u32", "ptr", "u32"],
        returns: "i32",
      },
      SetupDiGetDeviceRegistryPropertyW: {
        args: ["i64", "ptr", "u32", "ptr", "ptr", "u32", "ptr"],
        returns: "i32",
      },
    }).symbols,
);
