/** From a request to a call of its command, and from the outcome to the text of the reply. */
import * as v from "valibot";
import type { Agent } from "../../agent.ts";
import { type Body, isBody } from "../../channel/body.ts";
import { RequestError } from "../../errors.ts";
import { isJsonObject, type Json, type JsonObject, toJson, type Writable } from "../../framing/json.ts";
import type { LongString } from "../../framing/json-stream.ts";
import { AttemptsError, SystemError } from "../../guest.ts";
import type { Log } from "../../log.ts";
import type { Command } from "./command.ts";
import { QgaError } from "./errors.ts";
import { isEnabled } from "./policy.ts";
import { findCommand } from "./table.ts";
import { NOT_ACCEPTED, struct, UINT64 } from "./wire.ts";

/** A reply of one line, or one that makes itself between `before` and `after`; undefined: nothing is sent. */
export type Outcome = string | { readonly before: string; readonly body: Body; readonly after: string } | undefined;

const DELIMITER = "\xff";

interface Request {
  readonly name: string;
  readonly given: JsonObject | undefined;
}

/** The members of a request. @throws QgaError */
function readRequest(value: JsonObject): Request {
  let name: string | undefined;
  let given: JsonObject | undefined;
  for (const member in value) {
    const content = value[member]!;
    if (member === "execute") {
      if (typeof content !== "string") throw new QgaError("QMP input member 'execute' must be a string");
      name = content;
    } else if (member === "arguments") {
      if (!isJsonObject(content)) throw new QgaError("QMP input member 'arguments' must be an object");
      given = content;
    } else if (member !== "id") throw new QgaError(`QMP input member '${member}' is unexpected`);
  }
  if (name === undefined) throw new QgaError("QMP input lacks member 'execute'");
  return { name, given };
}

/** @throws QgaError when there is none or it may not be used now */
function allowedCommand(name: string, agent: Agent): Command {
  const command = findCommand(agent, name);
  if (command === undefined) throw new QgaError(`The command ${name} has not been found`, "CommandNotFound");
  if (!isEnabled(command, agent)) {
    agent.log.write("warning", `${name} was refused`);
    throw new QgaError(`Command ${name} has been disabled: the command is not allowed`, "CommandNotFound");
  }
  return command;
}

/** `arg[0]`, `vcpus[1].online`. */
function pathText(path: readonly v.IssuePathItem[]): string {
  return path
    .map(({ key }, index) => (typeof key === "number" ? `[${key}]` : `${index > 0 ? "." : ""}${String(key)}`))
    .join("");
}

/** The first thing that is wrong with the arguments, in qemu's words. */
function issueText(issue: v.BaseIssue<unknown>): string {
  const name = pathText(issue.path ?? []);
  if (issue.type === "strict_object" && issue.expected === "never") return `Parameter '${name}' is unexpected`;
  if (issue.type === "strict_object" && issue.received === "undefined") return `Parameter '${name}' is missing`;
  if (issue.message.startsWith(NOT_ACCEPTED)) {
    return `Parameter '${name}' does not accept value '${issue.message.slice(NOT_ACCEPTED.length)}'`;
  }
  if (issue.message === UINT64) return `Parameter '${name}' expects ${UINT64}`;
  return `Invalid parameter type for '${name}', expected: ${issue.message}`;
}

type Values = Parameters<Command["run"]>[0];

interface ArgumentReader {
  readonly schema: v.GenericSchema;
  /** What no arguments at all come to, once it is known. */
  none?: Values;
}

const readers = new WeakMap<Command, ArgumentReader>();

/** @throws QgaError */
function readArguments(command: Command, given: JsonObject | undefined): Values {
  let reader = readers.get(command);
  if (reader === undefined) {
    reader = { schema: struct(command.arguments) };
    readers.set(command, reader);
  }
  if (given === undefined && reader.none !== undefined) return reader.none;
  const parsed = v.safeParse(reader.schema, given ?? {}, { abortEarly: true });
  if (!parsed.success) throw new QgaError(issueText(parsed.issues[0]));
  const values = parsed.output as Values;
  if (given === undefined) reader.none = values;
  return values;
}

const idText = (value: Json): string =>
  isJsonObject(value) && value.id !== undefined ? `, "id": ${toJson(value.id)}` : "";

/** Tells the log how a request ended; undefined when the log has no lines for requests. */
type Note = ((outcome: string) => void) | undefined;

/** Starts the clock for the log's line about a request. */
function noteFor(value: Json, { request }: Log): Note {
  if (request === undefined) return undefined;
  const begun = performance.now();
  const name = isJsonObject(value) && typeof value.execute === "string" ? value.execute : "no command";
  return (outcome) => request({ name, outcome, milliseconds: performance.now() - begun });
}

function errorReply(error: unknown, value: Json, agent: Agent, note: Note): string {
  let failure: { class: string; desc: string };
  if (error instanceof QgaError) failure = { class: error.errorClass, desc: error.description };
  else if (error instanceof RequestError || error instanceof SystemError || error instanceof AttemptsError) {
    failure = { class: "GenericError", desc: error.message };
  } else {
    agent.log.write("critical", `a command failed unexpectedly: ${error instanceof Error ? error.stack : error}`);
    failure = { class: "GenericError", desc: "internal error" };
  }
  note?.(error instanceof SystemError ? `${failure.class} (${error.code})` : failure.class);
  const id = idText(value);
  return `{${id === "" ? "" : `${id.slice(2)}, `}"error": ${toJson(failure)}}\n`;
}

function successReply(command: Command, result: Writable | Body, value: Json, note: Note): Outcome {
  note?.("ok");
  if (command.successResponse === false) return undefined;
  const id = idText(value);
  if (isBody(result)) return { before: '{"return": ', body: result, after: `${id}}\n` };
  return `${command.delimited ? DELIMITER : ""}{"return": ${toJson(result)}${id}}\n`;
}

/** Runs a request. A command that waits for something gives a promise. */
export function dispatch(value: Json, long: LongString | undefined, agent: Agent): Outcome | Promise<Outcome> {
  const note = noteFor(value, agent.log);
  try {
    if (!isJsonObject(value)) throw new QgaError("QMP input must be a JSON object");
    const { name, given } = readRequest(value);
    const command = allowedCommand(name, agent);
    const result = command.run(readArguments(command, given), agent, long);
    if (!(result instanceof Promise)) return successReply(command, result as Writable | Body, value, note);
    return result.then(
      (later) => successReply(command, later as Writable, value, note),
      (error) => errorReply(error, value, agent, note),
    );
  } catch (error) {
    return errorReply(error, value, agent, note);
  }
}

/** The reply to bytes that are no request. */
export const parseErrorReply = (text: string): string =>
  `{"error": ${toJson({ class: "GenericError", desc: text })}}\n`;

/** Takes a string whose request will be refused once it is all there. */
const REFUSED: LongString = { slice: () => {}, abort: () => "" };

/** Finds who takes the body of a long string; undefined keeps it in memory for the command. */
export function longString(message: JsonObject, member: string, agent: Agent): LongString | undefined {
  const { execute, arguments: given } = message;
  const command = typeof execute === "string" ? findCommand(agent, execute) : undefined;
  if (command === undefined || !isEnabled(command, agent)) return REFUSED;
  if (command.streamed?.member !== member || given === undefined || !isJsonObject(given)) return undefined;
  const needed: Record<string, number | bigint> = {};
  for (const name of command.streamed.needs) {
    const argument = given[name];
    if (typeof argument !== "number" && typeof argument !== "bigint") return undefined;
    needed[name] = argument;
  }
  try {
    return command.streamed.begin(needed, agent);
  } catch (error) {
    if (error instanceof RequestError || error instanceof SystemError) return undefined;
    throw error;
  }
}
