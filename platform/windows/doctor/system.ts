/** What the rest of Windows has to have in order. */
import type { Finding } from "../../../src/guest.ts";
import type { ServiceFacts } from "../services.ts";

export function examineUser(isElevated: boolean): Finding[] {
  if (isElevated) return [];
  const fix = "run it in a console that was opened with: Run as administrator";
  return [{ check: "user", verdict: "warn", text: "not an administrator: not everything can be seen", fix }];
}

/** @param kindOf what is at a path */
export function examineState(statedir: string, kindOf: (path: string) => "directory" | "other" | "nothing"): Finding[] {
  const check = "state";
  const kind = kindOf(statedir);
  if (kind === "directory") return [{ check, verdict: "ok", text: `${statedir} is there` }];
  if (kind === "nothing") return [{ check, verdict: "ok", text: `${statedir} is made when the agent starts` }];
  const fix = "move it away, or name another one: statedir in the settings";
  return [{ check, verdict: "fail", text: `${statedir} is not a directory`, fix }];
}

export const TIME_SERVICE = "W32Time";
const NOTHING_RESYNCS = "guest-set-time without a time fails";

/** @param service undefined when there is none */
export function examineClock(service: ServiceFacts | undefined): Finding[] {
  const check = "clock";
  if (service === undefined) {
    return [{ check, verdict: "warn", text: `there is no time service (${TIME_SERVICE}): ${NOTHING_RESYNCS}` }];
  }
  const { state, start } = service;
  if (state === "running") return [{ check, verdict: "ok", text: `the time service (${TIME_SERVICE}) runs` }];
  const enable = start === "disabled" ? `sc.exe config ${TIME_SERVICE} start= auto, then: ` : "";
  const how = start === "disabled" ? start : state;
  const text = `the time service (${TIME_SERVICE}) is ${how}: ${NOTHING_RESYNCS}`;
  return [{ check, verdict: "warn", text, fix: `${enable}net start ${TIME_SERVICE}` }];
}

/** @param states undefined when Windows does not tell */
export function examinePower(states: { readonly ram: boolean; readonly disk: boolean } | undefined): Finding[] {
  if (states === undefined) return [];
  const able = [...(states.ram ? ["RAM"] : []), ...(states.disk ? ["disk"] : [])];
  const text =
    able.length === 0 ? "the VM cannot be suspended from inside" : `can be suspended to ${able.join(" and ")}`;
  return [{ check: "power", verdict: "ok", text }];
}
