/** One EayunStack host's conversation. */
import * as v from "valibot";
import type { Agent } from "../../agent.ts";
import { createMemorySampler } from "../../capability/memory-sample.ts";
import type { Outbox } from "../../channel/outbox.ts";
import type { Session } from "../../channel/session.ts";
import { type Json, type JsonObject, toJson, type Writable } from "../../framing/json.ts";
import { createJsonLines } from "../../framing/json-lines.ts";
import { SystemError } from "../../guest.ts";
import { refusal } from "../../policy.ts";
import type { ChannelDescription } from "../dialects.ts";
import { createTurns } from "../turns.ts";
import { type Context, EayunError, type Operation } from "./operation.ts";
import { EAYUN_OPERATIONS } from "./table.ts";

const OPERATIONS: ReadonlyMap<Json, Operation> = new Map(EAYUN_OPERATIONS.map((known) => [known.name, known]));

/** More of what a host calls an operation is not repeated. */
const LONGEST_NAME = 64;

type Result = { readonly [member: string]: Writable };

export function createEayunSession(
  agent: Agent,
  channel: ChannelDescription,
  outbox: Outbox,
  resume: () => void,
  enough: () => boolean,
): Session {
  const { guest, log, freeze, config } = agent;
  const context: Context = { agent, sampleMemory: createMemorySampler(guest) };

  const send = (reply: Result): void => outbox.text(`${toJson(reply)}\n`);

  const errorOf = (error: unknown): { readonly class: string; readonly desc: string } => {
    if (error instanceof EayunError) return { class: error.errorClass, desc: error.message };
    if (error instanceof SystemError) return { class: "GenericError", desc: error.message };
    log.write("critical", `an operation failed unexpectedly: ${error instanceof Error ? error.stack : error}`);
    return { class: "GenericError", desc: "internal error" };
  };

  const operationOf = (name: Json | undefined): Operation => {
    if (typeof name !== "string") throw new EayunError("InvalidArgument", "the request has no text 'operation'");
    const operation = OPERATIONS.get(name);
    if (operation === undefined) {
      throw new EayunError("UnknownOperation", `there is no operation '${name.slice(0, LONGEST_NAME)}'`);
    }
    if (freeze.frozen && !operation.allowedWhenFrozen) throw new EayunError("NotAllowed", "filesystems are frozen");
    const reason = refusal(name, config, channel);
    if (reason !== undefined) {
      log.write("warning", `${name} was refused, ${reason}`);
      log.account(`${name} of an EayunStack host was refused`);
      throw new EayunError("NotAllowed", reason);
    }
    return operation;
  };

  const execute = (given: JsonObject): Result | Promise<Result> => {
    const operation = operationOf(given.operation);
    const parsed = v.safeParse(v.object(operation.arguments), given, { abortEarly: true });
    if (parsed.success) return operation.run(parsed.output, context, given);
    throw new EayunError("InvalidArgument", `argument '${v.getDotPath(parsed.issues[0]) ?? ""}' is missing or wrong`);
  };

  const answer = (given: JsonObject): void | Promise<void> => {
    const { operation } = given;
    const name = typeof operation === "string" ? operation.slice(0, LONGEST_NAME) : undefined;
    const begun = performance.now();
    const note = (outcome: string): void =>
      log.request?.({ name: name ?? "no operation", outcome, milliseconds: performance.now() - begun });
    const succeeded = (result: Result): void => {
      note("ok");
      // An echoed request has its operation where the host has put it.
      send(result === given ? given : { operation: name ?? "", ...result });
    };
    const failed = (error: unknown): void => {
      const shown = errorOf(error);
      note(shown.class);
      send(name === undefined ? { error: shown } : { operation: name, error: shown });
    };
    try {
      const result = execute(given);
      if (!(result instanceof Promise)) return succeeded(result);
      const isGone = turns.watchHost();
      const unlessGone =
        <T>(action: (value: T) => void) =>
        (value: T): void => {
          if (!isGone()) action(value);
        };
      return result.then(unlessGone(succeeded), unlessGone(failed));
    } catch (error) {
      failed(error);
    }
  };

  const turns = createTurns(answer, resume);
  const lines = createJsonLines(
    { object: turns.take, bad: (reason) => send({ error: { class: "ParseError", desc: reason } }) },
    () => turns.busy || outbox.blocked || enough(),
    true,
  );

  return {
    push: (bytes, start, end) => lines.push(bytes, start, end),
    paused: () => turns.busy || outbox.blocked,
    reset() {
      turns.reset();
      lines.reset();
    },
  };
}
