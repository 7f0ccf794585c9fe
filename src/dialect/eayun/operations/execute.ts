/** execute_command and execute_script. */
import * as v from "valibot";
import { commandOutput } from "../../../capability/command-output.ts";
import type { Interpreters } from "../../../guest.ts";
import { type Context, EayunError, operation } from "../operation.ts";

const withoutNul = v.pipe(
  v.string(),
  v.check((text) => !text.includes("\0")),
);

function interpretersOf({ agent: { guest } }: Context): Interpreters {
  if (guest.interpreters === undefined) throw new EayunError("Unsupported", "the guest has nothing that runs it");
  return guest.interpreters;
}

/** What it prints on standard output. */
async function result({ agent: { guest, config } }: Context, argv: readonly string[]): Promise<{ result: string }> {
  const limits = { seconds: config.commandTimeout, mebibytes: config.commandOutput };
  const { text, status } = await commandOutput(guest, argv, limits);
  if (status.timedOut) throw new EayunError("TimedOut", `it was ended after ${config.commandTimeout} seconds`);
  return { result: text };
}

export const executeCommand = operation({
  name: "execute_command",
  summary: "Runs a command by the shell; the result is its standard output without the last newline.",
  arguments: { cmd: withoutNul },
  run: ({ cmd }, context) => result(context, interpretersOf(context).shell(cmd)),
});

export const executeScript = operation({
  name: "execute_script",
  summary:
    "Runs a file by Python (`py`) or the shell (`sh`); the result is its standard output without the last newline.",
  arguments: { path: withoutNul, type: v.picklist(["py", "sh"]) },
  run({ path, type }, context) {
    if (!context.agent.guest.files.exists(path)) throw new EayunError("InvalidArgument", `there is no file ${path}`);
    const argv = interpretersOf(context).script(type, path);
    if (argv === undefined) throw new EayunError("Unsupported", `nothing is installed that runs ${type}`);
    return result(context, argv);
  },
});
