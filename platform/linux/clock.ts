/** The system clock and the hardware clock. */
import { type Clock, ProgramError, runProgram, SystemError } from "../../src/guest.ts";
import { files } from "./files.ts";
import { check, cstring, libc } from "./libc.ts";
import { processes } from "./processes.ts";
import { localTime } from "./timezone.ts";

const CLOCK_REALTIME = 0;
const NANOSECONDS = 1_000_000_000n;

/** struct timespec: seconds, nanoseconds. */
const timespec = new BigInt64Array(2);

function now(): bigint {
  check(libc.clock_gettime(CLOCK_REALTIME, timespec), "clock_gettime");
  return timespec[0]! * NANOSECONDS + timespec[1]!;
}

function set(nanoseconds: bigint): void {
  // Like the kernel's: nanoseconds count up from the second before.
  const nanosecond = ((nanoseconds % NANOSECONDS) + NANOSECONDS) % NANOSECONDS;
  timespec[0] = (nanoseconds - nanosecond) / NANOSECONDS;
  timespec[1] = nanosecond;
  check(libc.clock_settime(CLOCK_REALTIME, timespec), "clock_settime");
}

/** ioctl numbers of rtc(4). */
const RTC_RD_TIME = 0x80247009;
const RTC_SET_TIME = 0x4024700a;
const O_RDONLY = 0;
const O_CLOEXEC = 0o2000000;
const DEVICES = ["/dev/rtc0", "/dev/rtc", "/dev/misc/rtc"];

/** struct rtc_time: nine ints like those of struct tm; the last three are not looked at. */
const RTC_TIME = { second: 0, minute: 1, hour: 2, day: 3, month: 4, year: 5, fields: 9 } as const;

/** @returns struct rtc_time of seconds since 1970 */
export function toRtcTime(seconds: number): Int32Array {
  const date = new Date(seconds * 1000);
  const fields = new Int32Array(RTC_TIME.fields);
  fields[RTC_TIME.second] = date.getUTCSeconds();
  fields[RTC_TIME.minute] = date.getUTCMinutes();
  fields[RTC_TIME.hour] = date.getUTCHours();
  fields[RTC_TIME.day] = date.getUTCDate();
  fields[RTC_TIME.month] = date.getUTCMonth();
  fields[RTC_TIME.year] = date.getUTCFullYear() - 1900;
  return fields;
}

/** @returns seconds since 1970 of struct rtc_time */
export function fromRtcTime(fields: Int32Array): number {
  const at = (index: number): number => fields[index] ?? 0;
  const { second, minute, hour, day, month, year } = RTC_TIME;
  return Date.UTC(at(year) + 1900, at(month), at(day), at(hour), at(minute), at(second)) / 1000;
}

/** Seconds that the hardware clock is ahead of UTC at that time: none, unless adjtime(5) says that it is local time. */
function hardwareOffset(seconds: number): number {
  try {
    const mode = files.readText("/etc/adjtime").split("\n")[2];
    return mode?.trim() === "LOCAL" ? localTime(seconds).offset : 0;
  } catch {
    return 0;
  }
}

/** What hwclock(8) does, to the second, where there is no such program. @returns false when there is no clock either */
function syncByDevice(direction: "save" | "load"): boolean {
  for (const path of DEVICES) {
    const device = libc.open(cstring(path), O_RDONLY | O_CLOEXEC, 0);
    if (device < 0) continue;
    try {
      if (direction === "save") {
        const seconds = Number((now() + NANOSECONDS / 2n) / NANOSECONDS);
        check(libc.ioctl(device, RTC_SET_TIME, toRtcTime(seconds + hardwareOffset(seconds))), "ioctl", path);
      } else {
        const fields = new Int32Array(RTC_TIME.fields);
        check(libc.ioctl(device, RTC_RD_TIME, fields), "ioctl", path);
        const shown = fromRtcTime(fields);
        set(BigInt(shown - hardwareOffset(shown - hardwareOffset(shown))) * NANOSECONDS);
      }
      return true;
    } finally {
      libc.close(device);
    }
  }
  return false;
}

const OPTION = { save: "-w", load: "-s" } as const;

async function syncHardware(direction: "save" | "load"): Promise<void> {
  try {
    await runProgram(processes, ["/sbin/hwclock", OPTION[direction]]);
  } catch (error) {
    const isMissing = error instanceof ProgramError && error.failure instanceof SystemError;
    if (!isMissing || !syncByDevice(direction)) throw error;
  }
}

export const clock: Clock = { now, set, syncHardware };
