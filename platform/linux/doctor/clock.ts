/** Whether the guest knows what time it is. */
import type { Finding } from "../../../src/guest.ts";
import { readText } from "../sysfs.ts";
import { adviceFor } from "./advice.ts";

/** Seconds that the two clocks may be apart: one counts whole seconds. */
const TOLERANCE = 5;
/** Sources that lose time under load or cost an exit to the hypervisor for each look. */
const POOR_SOURCES = new Set(["pit", "jiffies", "refined-jiffies", "acpi_pm", "hpet"]);
const SOURCE = "/sys/devices/system/clocksource/clocksource0";
const HARDWARE_CLOCK = "/sys/class/rtc/rtc0/since_epoch";

/**
 * @param now seconds since 1970
 * @param root stands before `/sys` and `/etc`, for tests
 */
export function examineClock(now = Date.now() / 1000, root = ""): Finding[] {
  const check = "clock";
  const source = readText(`${root}${SOURCE}/current_clocksource`) ?? "unknown";
  const better = (readText(`${root}${SOURCE}/available_clocksource`) ?? "")
    .split(" ")
    .find((name) => name !== "" && !POOR_SOURCES.has(name));
  if (POOR_SOURCES.has(source)) {
    const fix =
      better === undefined
        ? "give the VM a better one (kvm-clock, TSC)"
        : `echo ${better} > ${SOURCE}/current_clocksource`;
    return [{ check, verdict: "warn", text: `the clock source ${source} is slow and imprecise`, fix }];
  }
  const hardware = Number(readText(`${root}${HARDWARE_CLOCK}`) ?? Number.NaN);
  // One that counts local time is hours off by intention.
  const isLocal = /^LOCAL$/m.test(readText(`${root}/etc/adjtime`) ?? "");
  const ahead = Math.round(now - hardware);
  if (!isLocal && Math.abs(ahead) > TOLERANCE) {
    const direction = ahead > 0 ? "ahead of" : "behind";
    const fix = `${adviceFor(root).timeService}, or from the host: guest-set-time`;
    return [{ check, verdict: "warn", text: `${Math.abs(ahead)} s ${direction} the hardware clock`, fix }];
  }
  return [
    { check, verdict: "ok", text: `source ${source}${Number.isNaN(ahead) ? "" : ", and the hardware clock agrees"}` },
  ];
}
