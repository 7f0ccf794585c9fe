/** `inguest ctl raw`: requests as they go over the line. */
import { readFileSync } from "node:fs";
import { print } from "../print.ts";
import { printJson } from "../render.ts";
import { memberOf } from "./reply.ts";
import { EXIT, UsageError, type Verb } from "./verb.ts";

const STANDARD_INPUT = 0;

function requestsOf(operands: readonly string[]): readonly string[] {
  const lines = operands.length > 0 ? operands : readFileSync(STANDARD_INPUT, "utf8").split("\n");
  return lines.filter((line) => line.trim() !== "");
}

export const raw = {
  name: "raw",
  summary: "send requests as they are, and print the replies as they come",
  operands: "[JSON...]",
  count: [0, Infinity],
  details: [
    "Without an operand each line of standard input is a request. A reply is a line of JSON, on a terminal too. Commands that give no answer cannot be sent this way.",
  ],
  async run({ client, operands }) {
    const requests = requestsOf(operands);
    let failed = false;
    for (const request of requests) {
      if (request.includes("\n")) throw new UsageError("a request is one line");
      const reply = await client.raw(request);
      if (memberOf(reply, "error") !== undefined) failed = true;
      print(`${printJson(reply)}\n`);
    }
    return failed ? EXIT.failure : EXIT.success;
  },
} as const satisfies Verb;
