/** Whether the virtual machine has a way to its host, and Windows a driver for it. */
import type { Finding, Patient } from "../../../src/guest.ts";

/** A device on the PCI bus that has virtio ports. */
export interface Controller {
  /** The service of its driver; undefined when it has none. */
  readonly service: string | undefined;
  /** The code that the device manager shows; 0 when all is well. */
  readonly problem: number;
}

/** Hardware ids of such devices: the transitional and the modern kind. */
export const isController = (hardwareId: string): boolean => /^PCI\\VEN_1AF4&DEV_(1003|1043)(&|$)/i.test(hardwareId);

const DRIVER_FIX = "install vioserial of the virtio-win package: pnputil /add-driver vioser.inf /install";

/** A device that is neither a serial line nor a pipe. */
const isVirtioPath = (path: string): boolean => /^\\\\\.\\(?!COM\d+$|pipe\\)/i.test(path);

export function examineDriver(
  { devices, knownPorts, channelAdvice }: Patient,
  controllers: () => readonly Controller[],
): Finding[] {
  const check = "driver";
  if (knownPorts.length === 0 && !devices.some(isVirtioPath)) return [];
  const found = controllers();
  if (found.length === 0) {
    return [{ check, verdict: "fail", text: "the VM has no virtio-serial controller", fix: channelAdvice }];
  }
  const bare = found.filter(({ service }) => service === undefined);
  if (bare.length > 0) {
    return [{ check, verdict: "fail", text: "no driver for the virtio-serial controller", fix: DRIVER_FIX }];
  }
  const broken = found.find(({ problem }) => problem !== 0);
  if (broken !== undefined) {
    const text = `the driver ${broken.service} of the virtio-serial controller does not work: code ${broken.problem} of the device manager`;
    return [{ check, verdict: "fail", text, fix: DRIVER_FIX }];
  }
  const drivers = [...new Set(found.map(({ service }) => service))].join(", ");
  return [{ check, verdict: "ok", text: `${drivers} drives the controller` }];
}

/** What came of an attempt to open a port; `reason` is Windows' own text. */
export interface Attempt {
  readonly outcome: "opened" | "taken" | "refused" | "missing" | "failed";
  readonly reason: string;
}

export interface PortFacts {
  /** Whether the agent's service runs. */
  readonly served: boolean;
  /** The path of a virtio port. */
  readonly pathOf: (name: string) => string;
  readonly attempt: (path: string) => Attempt;
}

function examinePort(path: string, { outcome, reason }: Attempt, { served }: PortFacts, advice: string): Finding {
  const check = "port";
  const started = "start the agent: net start inguest";
  const judgements: Readonly<Record<Attempt["outcome"], Omit<Finding, "check">>> = {
    opened: served
      ? {
          verdict: "fail",
          text: `the agent runs, but does not have ${path} open`,
          fix: "net stop inguest, then: net start inguest",
        }
      : { verdict: "warn", text: `${path} can be opened, and no agent has it open`, fix: started },
    taken: served
      ? { verdict: "ok", text: `${path} is open, and the agent runs` }
      : {
          verdict: "fail",
          text: `${path} is open in another program, and the agent's service does not run`,
          fix: "stop the other program; if it is the agent, install it as a service: inguest.exe -s install",
        },
    refused: { verdict: "warn", text: `${path} cannot be looked at: ${reason}`, fix: "run this as administrator" },
    missing: { verdict: "fail", text: `there is no ${path}`, fix: advice },
    failed: { verdict: "fail", text: `${path}: ${reason}` },
  };
  return { check, ...judgements[outcome] };
}

const LINE_ADVICE = "give the VM a serial port, or name another one: the device manager lists them under Ports";

export function examinePorts({ devices, knownPorts, channelAdvice }: Patient, facts: PortFacts): Finding[] {
  const check = "port";
  if (devices.length > 0) {
    return devices.map((path) =>
      examinePort(path, facts.attempt(path), facts, isVirtioPath(path) ? channelAdvice : LINE_ADVICE),
    );
  }
  if (knownPorts.length === 0) return [{ check, verdict: "ok", text: "a named pipe is served, no port" }];
  const there = knownPorts
    .map(facts.pathOf)
    .map((path) => ({ path, attempt: facts.attempt(path) }))
    .filter(({ attempt }) => attempt.outcome !== "missing");
  if (there.length > 0) return there.map(({ path, attempt }) => examinePort(path, attempt, facts, channelAdvice));
  const text = `the VM has no port with a known name (${knownPorts.join(", ")})`;
  return [{ check, verdict: "fail", text, fix: channelAdvice }];
}
