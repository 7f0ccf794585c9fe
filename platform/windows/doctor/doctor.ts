/** Looks at all that an agent's answer needs, in the order in which it needs it. */
import { existsSync, statSync } from "node:fs";
import { type Doctor, type Finding, type Patient, SystemError } from "../../../src/guest.ts";
import { mapAllDevices, propertyKey } from "../device-tree.ts";
import { ERROR, errorName } from "../errors.ts";
import { kernel32 } from "../kernel32.ts";
import { devicePath, openDevice, portPath } from "../ports.ts";
import { sleepStates } from "../power.ts";
import { isElevated } from "../security.ts";
import { SERVICE_NAME } from "../service-manager.ts";
import { type ServiceFacts, serviceFacts } from "../services.ts";
import { isFixed, listVolumes } from "../storage.ts";
import { hasProviderFile, isProviderRegistered } from "../vss-provider.ts";
import { fromWide, fromWideList } from "../wide.ts";
import { examineAgent, examineRivals, RIVAL_SERVICES, type Rival } from "./agents.ts";
import { examineFreeze, examineHook, PROVIDER_SERVICE, SHADOW_COPY_SERVICE } from "./freezing.ts";
import { type Attempt, type Controller, examineDriver, examinePorts, isController } from "./ports.ts";
import { examineClock, examinePower, examineState, examineUser, TIME_SERVICE } from "./system.ts";

/** Properties of devpkey.h: hardware ids, the driver's service, the code of what is wrong. */
const HARDWARE_IDS = propertyKey("a45c254e-df1c-4efd-8020-67d146a850e0", 3);
const SERVICE = propertyKey("a45c254e-df1c-4efd-8020-67d146a850e0", 6);
const PROBLEM = propertyKey("4340a6c5-93fa-4706-972c-7b648008a5a7", 3);

function controllers(): Controller[] {
  return mapAllDevices((device): Controller[] => {
    if (!fromWideList(device.property(HARDWARE_IDS) ?? Buffer.alloc(0)).some(isController)) return [];
    const service = device.property(SERVICE);
    const problem = device.property(PROBLEM);
    return [
      {
        service: service === undefined ? undefined : fromWide(service),
        problem: problem === undefined || problem.byteLength < 4 ? 0 : problem.readUInt32LE(0),
      },
    ];
  }).flat();
}

/** Codes of a port that another handle has; administrators are refused nothing else. */
const TAKEN = [ERROR.ACCESS_DENIED, ERROR.SHARING_VIOLATION, ERROR.PIPE_BUSY].map(errorName);

function attempt(path: string, elevated: boolean): Attempt {
  try {
    kernel32.CloseHandle(openDevice(devicePath(path)));
    return { outcome: "opened", reason: "" };
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const { code, reason } = error;
    if (code === errorName(ERROR.FILE_NOT_FOUND)) return { outcome: "missing", reason };
    if (code === errorName(ERROR.ACCESS_DENIED) && !elevated) return { outcome: "refused", reason };
    return { outcome: TAKEN.includes(code) ? "taken" : "failed", reason };
  }
}

/** An agent that took the place of another one's executable goes by that one's service. */
const isOurs = ({ words: [program = ""] }: ServiceFacts): boolean =>
  program.toLowerCase() === process.execPath.toLowerCase();

interface Services {
  /** The name of the agent's own. */
  readonly name: string;
  readonly own: ServiceFacts | undefined;
  readonly rivals: readonly Rival[];
}

/** @throws SystemError */
function agentServices(): Services {
  const others = RIVAL_SERVICES.flatMap((service) => {
    const facts = serviceFacts(service);
    return facts === undefined ? [] : [{ service, facts }];
  });
  const own = serviceFacts(SERVICE_NAME);
  const inPlace = others.find(({ facts }) => own === undefined && isOurs(facts));
  return {
    name: inPlace?.service ?? SERVICE_NAME,
    own: own ?? inPlace?.facts,
    rivals: others.filter(({ facts }) => !isOurs(facts)),
  };
}

const kindOf = (path: string): "directory" | "other" | "nothing" => {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return "nothing";
  return found.isDirectory() ? "directory" : "other";
};

/** A look that fails is told too; the others go on. */
function look(check: string, examine: () => Finding[]): Finding[] {
  try {
    return examine();
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return [{ check, verdict: "warn", text: `cannot be looked at: ${error.message}` }];
  }
}

function examineAll(patient: Patient): Finding[] {
  const elevated = isElevated();
  let services: Services | undefined;
  const agents = look("agent", () => {
    services = agentServices();
    return [...examineAgent(services.name, services.own, existsSync), ...examineRivals(services.rivals)];
  });
  const way = look("driver", () => {
    const driver = examineDriver(patient, controllers);
    if (driver.some(({ verdict }) => verdict === "fail")) return driver;
    const served = services?.own?.state === "running";
    return [
      ...driver,
      ...examinePorts(patient, { served, pathOf: portPath, attempt: (path) => attempt(path, elevated) }),
    ];
  });
  const freeze = look("freeze", () =>
    examineFreeze({
      shadowCopies: serviceFacts(SHADOW_COPY_SERVICE),
      isProviderRegistered: isProviderRegistered(),
      provider: serviceFacts(PROVIDER_SERVICE),
      hasProviderFile: hasProviderFile(),
      volumes: listVolumes()
        .filter(isFixed)
        .map(({ name, paths }) => paths[0] ?? name),
    }),
  );
  return [
    ...examineUser(elevated),
    ...way,
    ...agents,
    ...examineState(patient.statedir, kindOf),
    ...freeze,
    ...examineHook(patient.fsfreezeHook, existsSync),
    ...look("clock", () => examineClock(serviceFacts(TIME_SERVICE))),
    ...examinePower(sleepStates()),
  ];
}

export const doctor: Doctor = {
  examine: examineAll,
  startArguments() {
    try {
      return agentServices().own?.words.slice(1);
    } catch (error) {
      // `examine` tells of it.
      if (error instanceof SystemError) return undefined;
      throw error;
    }
  },
};
