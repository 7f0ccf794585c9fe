/** Looks at all that an agent's answer needs, in the order in which it needs it. */
import type { Doctor, Finding, Patient } from "../../../src/guest.ts";
import { examineAgents } from "./agents.ts";
import { examineClock } from "./clock.ts";
import { examineFilesystems, examineHook, examineState } from "./filesystems.ts";
import { examineDriver, examinePorts } from "./ports.ts";
import { examineConfinement, examineUser } from "./rights.ts";

/** Without a controller that works there cannot be a port. */
function examineWay(patient: Patient): Finding[] {
  const driver = examineDriver(patient);
  return driver.some(({ verdict }) => verdict === "fail") ? driver : [...driver, ...examinePorts(patient)];
}

export const doctor: Doctor = {
  examine: (patient) => [
    ...examineUser(),
    ...examineWay(patient),
    ...examineAgents(),
    ...examineConfinement(),
    ...examineState(patient),
    ...examineFilesystems(patient),
    ...examineHook(patient),
    ...examineClock(),
  ],
};
