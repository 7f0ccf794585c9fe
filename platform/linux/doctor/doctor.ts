/** Looks at all that an agent's answer needs, in the order in which it needs it. */
import type { Doctor } from "../../../src/guest.ts";
import { examineAgents } from "./agents.ts";
import { examineClock } from "./clock.ts";
import { examineFilesystems, examineHook, examineState } from "./filesystems.ts";
import { examineDriver, examinePorts } from "./ports.ts";
import { examineConfinement, examineUser } from "./rights.ts";

export const doctor: Doctor = {
  examine: (patient) => [
    ...examineUser(),
    ...examineDriver(patient),
    ...examinePorts(patient),
    ...examineAgents(),
    ...examineConfinement(),
    ...examineState(patient),
    ...examineFilesystems(patient),
    ...examineHook(patient),
    ...examineClock(),
  ],
};
