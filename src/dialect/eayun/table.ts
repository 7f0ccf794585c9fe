/** Every operation of the EayunStack dialect. */
import type { Operation } from "./operation.ts";
import { echo } from "./operations/echo.ts";
import { executeCommand, executeScript } from "./operations/execute.ts";
import { getInformation } from "./operations/information.ts";

export const EAYUN_OPERATIONS: readonly Operation[] = [echo, executeCommand, executeScript, getInformation];
