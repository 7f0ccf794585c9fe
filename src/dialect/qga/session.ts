/** One host's conversation in the QGA framing. */
import type { Agent } from "../../agent.ts";
import type { Outbox } from "../../channel/outbox.ts";
import type { Session } from "../../channel/session.ts";
import type { Json } from "../../framing/json.ts";
import { createJsonStream, type LongString } from "../../framing/json-stream.ts";
import { dispatch, longString, type Outcome, parseErrorReply } from "./dispatch.ts";

export function createQgaSession(
  agent: Agent,
  outbox: Outbox,
  resume: () => void,
  enough: () => boolean = () => false,
): Session {
  let waiting = false;
  let era = 0;
  /** Values that came out of the framer while a command was still at work. */
  let queue: { readonly value: Json; readonly long: LongString | undefined }[] = [];

  const send = (outcome: Outcome): void => {
    if (outcome === undefined) return;
    if (typeof outcome === "string") return outbox.text(outcome);
    outbox.text(outcome.before);
    outbox.body(outcome.body, outcome.after);
  };

  const handle = (value: Json, long: LongString | undefined): void => {
    if (waiting) {
      queue.push({ value, long });
      return;
    }
    const outcome = dispatch(value, long, agent);
    if (!(outcome instanceof Promise)) return send(outcome);
    waiting = true;
    const asked = era;
    outcome.then((reply) => {
      if (asked !== era) return;
      waiting = false;
      send(reply);
      const next = queue;
      queue = [];
      for (const { value: later, long: body } of next) handle(later, body);
      resume();
    });
  };

  const stream = createJsonStream(
    {
      value: handle,
      error: (text) => outbox.text(parseErrorReply(text)),
      longString: (message, member) => (waiting ? undefined : longString(message, member, agent)),
    },
    () => waiting || outbox.blocked || enough(),
  );

  return {
    push: (bytes, start, end) => stream.push(bytes, start, end),
    paused: () => waiting || outbox.blocked,
    reset() {
      era++;
      waiting = false;
      queue = [];
      stream.reset();
    },
  };
}
