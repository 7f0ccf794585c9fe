/** Amounts for people. */

const STEP = 1024;
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** `1.5 GiB`, `17 B`. */
export function bytesText(bytes: number | bigint): string {
  let value = Number(bytes);
  let unit = 0;
  // What would be shown as 1024.0 belongs to the next unit.
  while (value >= STEP - 0.05 && unit < UNITS.length - 1) {
    value /= STEP;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

/** `0:07`, `12:30`, `1:02:03`. */
export function durationText(seconds: number): string {
  const whole = Math.round(seconds);
  const two = (value: number): string => String(value).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}:${two(whole % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
}

/** `42%`, rounded down so that 100% means all; `-` of nothing. */
export const percentText = (part: number, whole: number): string =>
  whole > 0 ? `${Math.floor((100 * part) / whole)}%` : "-";
