/** `inguest ctl COMMAND KEY=VALUE...`: a command of the agent, as it is. */
import { declaredCommand } from "../../dialect/qga/table.ts";
import { readArguments } from "../arguments.ts";
import { EXIT, show, type Verb } from "./verb.ts";

/** The verb that a command of the agent is. */
export const commandVerb = (name: string): Verb => ({
  name,
  summary: "send the command to the agent, and print what it returns",
  operands: "[KEY=VALUE...]",
  count: [0, Infinity],
  async run(context) {
    const { client, operands } = context;
    const known = declaredCommand(name);
    const values = readArguments(operands, known);
    if (known?.successResponse === false) await client.callSilent(name, values);
    else show(context, await client.call(name, values));
    return EXIT.success;
  },
});
