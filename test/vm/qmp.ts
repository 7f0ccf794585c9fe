/** QEMU's own control connection (QMP): commands and events. */

import { within } from "../lab/process.ts";
import { isObject, type Json, openSocket, parseJson, printJson } from "../lab/qga-client.ts";

/** An event as QEMU sent it. */
export interface QmpEvent {
  event: string;
  data: { [key: string]: Json };
}

/** A QMP connection, past its greeting. */
export interface Qmp {
  /** Runs a command; throws an Error with QEMU's text if it fails. */
  execute(command: string, args?: { [key: string]: Json }, timeoutMs?: number): Promise<Json>;
  /**
   * Takes the oldest event of that name which nobody has taken yet, or waits for one.
   * With `matches`, events that do not match are left for others.
   */
  event(name: string, timeoutMs?: number, matches?: (event: QmpEvent) => boolean): Promise<QmpEvent>;
  /** Forgets the events nobody has taken. */
  forgetEvents(): void;
  close(): void;
}

interface Waiter {
  accepts(event: QmpEvent): boolean;
  result: PromiseWithResolvers<QmpEvent>;
}

/** Connects, reads the greeting and leaves the negotiation mode. */
export async function connectQmp(path: string): Promise<Qmp> {
  const socket = await openSocket(path);
  const replies: PromiseWithResolvers<Json>[] = [];
  const greeted = Promise.withResolvers<void>();
  let events: QmpEvent[] = [];
  let waiters: Waiter[] = [];
  let text = "";

  const onMessage = (message: Json): void => {
    if (!isObject(message)) return;
    const { event, error, data } = message;
    if ("QMP" in message) {
      greeted.resolve();
    } else if (typeof event === "string") {
      const received = { event, data: isObject(data) ? data : {} };
      const waiter = waiters.find((each) => each.accepts(received));
      waiters = waiters.filter((each) => each !== waiter);
      if (waiter === undefined) events.push(received);
      else waiter.result.resolve(received);
    } else if (isObject(error)) {
      replies.shift()?.reject(new Error(`${error.class}: ${error.desc}`));
    } else {
      replies.shift()?.resolve(message.return ?? null);
    }
  };
  socket.setEncoding("utf8");
  socket.on("data", (chunk) => {
    const lines = (text + chunk).split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") onMessage(parseJson(line));
  });
  const onEnd = (): void => {
    const error = new Error("QEMU has closed its QMP connection");
    for (const reply of replies.splice(0)) reply.reject(error);
    for (const waiter of waiters.splice(0)) waiter.result.reject(error);
    greeted.reject(error);
  };
  socket.on("error", onEnd);
  socket.on("close", onEnd);

  const execute: Qmp["execute"] = async (command, args, timeoutMs = 10_000) => {
    const reply = Promise.withResolvers<Json>();
    replies.push(reply);
    socket.write(`${printJson({ execute: command, ...(args === undefined ? {} : { arguments: args }) })}\n`);
    return within(reply.promise, timeoutMs, () => `QMP ${command} was not answered within ${timeoutMs} ms`);
  };

  const event: Qmp["event"] = async (name, timeoutMs = 10_000, matches = () => true) => {
    const accepts = (each: QmpEvent): boolean => each.event === name && matches(each);
    const past = events.find(accepts);
    if (past !== undefined) {
      events = events.filter((each) => each !== past);
      return past;
    }
    const waiter = { accepts, result: Promise.withResolvers<QmpEvent>() };
    waiters.push(waiter);
    try {
      return await within(waiter.result.promise, timeoutMs, () => `no QMP event ${name} within ${timeoutMs} ms`);
    } finally {
      waiters = waiters.filter((each) => each !== waiter);
    }
  };

  await within(greeted.promise, 10_000, () => "QEMU sent no QMP greeting");
  await execute("qmp_capabilities");
  return {
    execute,
    event,
    forgetEvents: () => {
      events = [];
    },
    close: () => socket.destroy(),
  };
}
