/** Which agents Windows runs, and whether it would run them again. */
import type { Finding } from "../../../src/guest.ts";
import type { ServiceFacts } from "../services.ts";

/** @param service undefined when there is none */
export function examineAgent(
  name: string,
  service: ServiceFacts | undefined,
  exists: (path: string) => boolean,
): Finding[] {
  const check = "agent";
  if (service === undefined) {
    const fix = `inguest.exe -s install, then: net start ${name}`;
    return [{ check, verdict: "warn", text: `the service ${name} is not installed`, fix }];
  }
  const [program = ""] = service.words;
  if (!exists(program)) {
    const fix = `put it there, or: sc.exe delete ${name}, and inguest.exe -s install from where it is now`;
    return [{ check, verdict: "fail", text: `the service ${name} starts ${program}, which is not there`, fix }];
  }
  return [examineState(name, service), ...examineStart(name, service), ...examineRecovery(name, service)];
}

function examineState(name: string, { state, processId, ending }: ServiceFacts): Finding {
  const check = "agent";
  if (state === "running") return { check, verdict: "ok", text: `the service ${name} runs, process ${processId}` };
  const fix = `net start ${name}; Event Viewer, Windows Logs, Application tells why it ended`;
  return {
    check,
    verdict: "warn",
    text: `the service ${name} is ${state}${ending === undefined ? "" : `: ${ending}`}`,
    fix,
  };
}

function examineStart(name: string, { start }: ServiceFacts): Finding[] {
  if (start === "auto") return [];
  const text = `the service ${name} does not start with the system (${start})`;
  return [{ check: "agent", verdict: "warn", text, fix: `sc.exe config ${name} start= auto` }];
}

function examineRecovery(name: string, { restarted }: ServiceFacts): Finding[] {
  if (restarted !== false) return [];
  const fix = `sc.exe failure ${name} reset= 86400 actions= restart/1000/restart/5000/restart/60000`;
  return [{ check: "agent", verdict: "warn", text: `the service ${name} is not started again when it fails`, fix }];
}

export interface Rival {
  readonly service: string;
  readonly facts: ServiceFacts;
}

/** Names of the services of other agents, which would take the host's port. */
export const RIVAL_SERVICES = ["QEMU-GA", "OVirtGuestService"] as const;

/** @param rivals those that are installed */
export function examineRivals(rivals: readonly Rival[]): Finding[] {
  const check = "rivals";
  const found = rivals.flatMap(({ service, facts }): Finding[] => {
    const fix = `sc.exe stop ${service}, then: sc.exe config ${service} start= disabled`;
    if (facts.processId !== 0) {
      const text = `${service} runs, process ${facts.processId}: two agents cannot share a port`;
      return [{ check, verdict: "fail", text, fix }];
    }
    if (facts.start !== "auto") return [];
    return [{ check, verdict: "warn", text: `${service} does not run now, but starts with the system`, fix }];
  });
  return found.length > 0 ? found : [{ check, verdict: "ok", text: "no other agent runs" }];
}
