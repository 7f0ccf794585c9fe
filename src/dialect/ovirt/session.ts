/** One oVirt host's conversation. */
import * as v from "valibot";
import type { Agent } from "../../agent.ts";
import { createMemorySampler } from "../../capability/memory-sample.ts";
import type { Outbox } from "../../channel/outbox.ts";
import type { Session } from "../../channel/session.ts";
import { RequestError } from "../../errors.ts";
import { type Json, type JsonObject, toJson, type Writable } from "../../framing/json.ts";
import { createJsonLines } from "../../framing/json-lines.ts";
import { AttemptsError, type LoggedInUser, ProgramError, type SessionEvent, SystemError } from "../../guest.ts";
import { spent } from "../../memory.ts";
import { refusal } from "../../policy.ts";
import type { ChannelDescription } from "../dialects.ts";
import { createTurns } from "../turns.ts";
import type { Conversation, OvirtCommand } from "./command.ts";
import type { Content, Facts, Message } from "./message.ts";
import { heartbeat } from "./messages/memory.ts";
import {
  activeUser,
  sessionLock,
  sessionLogoff,
  sessionLogon,
  sessionShutdown,
  sessionUnlock,
} from "./messages/session.ts";
import { keepSchedule } from "./schedule.ts";
import { loadSettings } from "./settings.ts";
import { OVIRT_COMMANDS, REGULAR_MESSAGES } from "./table.ts";
import { fitForXml } from "./text.ts";

const COMMANDS: ReadonlyMap<Json, OvirtCommand> = new Map(OVIRT_COMMANDS.map((command) => [command.name, command]));
const NAME = "__name__";

/** More of what a host calls a command is not logged. */
const LONGEST_NAME = 64;

/** About what is garbage once the first messages were made: most of it is the database of packages. */
const STARTING_BYTES = 1024 * 1024;

/** What can go wrong without being a fault of the program. */
const isExpected = (error: unknown): error is Error =>
  [RequestError, SystemError, ProgramError, AttemptsError].some((kind) => error instanceof kind);

/** The line that carries a message. */
export const lineOf = (name: string, content: Writable): string =>
  `${toJson(fitForXml({ [NAME]: name, ...(typeof content === "object" ? content : {}) }))}\n`;

const sessionKey = ({ user, terminal = "", loginTime }: LoggedInUser): string => `${loginTime} ${terminal} ${user}`;

export function createOvirtSession(
  agent: Agent,
  channel: ChannelDescription,
  outbox: Outbox,
  resume: () => void,
  enough: () => boolean,
): Session {
  const { guest, log, freeze } = agent;
  const settings = loadSettings(guest, log);
  const sampleMemory = createMemorySampler(guest);
  /** Has the last content of messages that are sent when they change. */
  const told = new Map<string, string>();
  let introduced = false;
  let refreshing = false;
  /** Whether something was not sent, because the host did not read or filesystems were frozen. */
  let missed = false;

  const facts: Facts = {
    guest,
    settings,
    sampleMemory,
    get introduced() {
      return introduced;
    },
  };

  const complain = (error: unknown, about: string): void => {
    if (isExpected(error)) log.write("warning", `${about}: ${error.message}`);
    else log.write("critical", `${about} failed unexpectedly: ${error instanceof Error ? error.stack : error}`);
  };

  const post = (name: string, content: Writable, changesOnly: boolean): void => {
    const line = lineOf(name, content);
    if (changesOnly && told.get(name) === line) return;
    told.set(name, line);
    outbox.text(line);
    if (name === heartbeat.name) introduced = true;
    resume();
  };

  /** Makes a message and sends it, unless the host is too old for it. */
  const say = <C extends Content, Input>(message: Message<C, Input>, input: Input, changesOnly = false): void => {
    if (message.version > conversation.apiVersion) return;
    try {
      const content = message.make(facts, input);
      if (!(content instanceof Promise)) return post(message.name, content as Writable, changesOnly);
      const isGone = turns.watchHost();
      content.then(
        (later) => {
          if (!isGone() && !outbox.blocked) post(message.name, later as Writable, changesOnly);
        },
        (error) => complain(error, message.name),
      );
    } catch (error) {
      complain(error, message.name);
    }
  };

  /** Sends messages that come by themselves; a host that does not read gets all of them anew when it does. */
  const sayRegular = (messages: readonly Message[], changesOnly: boolean): void => {
    for (const message of messages) {
      if (outbox.blocked || (freeze.frozen && message !== heartbeat)) missed = true;
      else say(message, undefined, changesOnly && message.onlyChanges === true);
    }
  };

  const refreshNow = (): void => {
    missed = false;
    sayRegular(
      REGULAR_MESSAGES.filter(({ onRefresh }) => onRefresh),
      false,
    );
  };

  const conversation: Conversation = {
    agent,
    apiVersion: 0,
    say,
    refresh() {
      // A host that asks a thousand times at once gets it once.
      if (refreshing) return;
      refreshing = true;
      guest.loop.soon(() => {
        refreshing = false;
        if (alive) refreshNow();
      });
    },
  };

  const commandOf = (name: Json | undefined): OvirtCommand => {
    const command = name === undefined ? undefined : COMMANDS.get(name);
    if (command === undefined) throw new RequestError("there is no such command");
    const refused = freeze.frozen && !command.allowedWhenFrozen ? "filesystems are frozen" : undefined;
    const reason = refused ?? refusal(command.name, agent.config, channel);
    if (reason !== undefined) {
      log.account(`${command.name} of an oVirt host was refused`);
      throw new RequestError(`refused, ${reason}`);
    }
    return command;
  };

  const execute = (given: JsonObject): void | Promise<void> => {
    const command = commandOf(given[NAME]);
    const parsed = v.safeParse(v.object(command.arguments), given, { abortEarly: true });
    if (!parsed.success) throw new RequestError(`argument ${v.getDotPath(parsed.issues[0]) ?? ""} is not usable`);
    return command.run(parsed.output, conversation, given);
  };

  const follow = (given: JsonObject): void | Promise<void> => {
    const { [NAME]: name } = given;
    const about = typeof name === "string" ? name.slice(0, LONGEST_NAME) : "a message without a name";
    const begun = performance.now();
    const note = (outcome: string): void =>
      log.request?.({ name: about, outcome, milliseconds: performance.now() - begun });
    const failed = (error: unknown): void => {
      complain(error, about);
      note("failed");
    };
    try {
      const running = execute(given);
      if (!(running instanceof Promise)) return note("ok");
      return running.then(() => note("ok"), failed);
    } catch (error) {
      failed(error);
    }
  };

  const turns = createTurns(follow, resume);
  const lines = createJsonLines(
    { object: turns.take, bad: (reason) => log.write("warning", `a line was passed over: ${reason}`) },
    () => turns.busy || outbox.blocked || enough(),
  );

  let present = new Set(guest.identity.users().map(sessionKey));
  const usersChanged = (): void => {
    const now = new Set(guest.identity.users().map(sessionKey));
    const arrived = now.difference(present).size > 0;
    const left = present.difference(now).size > 0;
    present = now;
    if (left) sayEvents(sessionLogoff, activeUser);
    if (arrived) sayEvents(sessionLogon, activeUser);
  };
  const sayEvents = (...messages: readonly Message[]): void => sayRegular(messages, false);
  const EVENTS: Readonly<Record<SessionEvent, () => void>> = {
    users: usersChanged,
    lock: () => sayEvents(sessionLock),
    unlock: () => sayEvents(sessionUnlock),
  };

  let alive = true;
  const unwatch = guest.sessions?.watch((event) => EVENTS[event]());
  const unschedule = keepSchedule(guest.loop, REGULAR_MESSAGES, settings, (messages) => {
    if (missed && !outbox.blocked && !freeze.frozen) refreshNow();
    sayRegular(messages, true);
  });
  sayRegular(
    REGULAR_MESSAGES.filter(({ atStart }) => atStart),
    false,
  );
  spent(STARTING_BYTES);

  return {
    push: (bytes, start, end) => lines.push(bytes, start, end),
    paused: () => turns.busy || outbox.blocked,
    reset() {
      turns.reset();
      lines.reset();
    },
    farewell: () => sayEvents(sessionShutdown),
    ended() {
      alive = false;
      unwatch?.();
      unschedule();
    },
  };
}
