/** A session of a dialect on the real guest, without a channel: what is said to it, and what it says. */
import { guest } from "../../platform/linux/guest.ts";
import type { Agent } from "../../src/agent.ts";
import { createExecs } from "../../src/capability/exec.ts";
import { createFileHandles } from "../../src/capability/files.ts";
import { createFreeze } from "../../src/capability/fsfreeze.ts";
import type { Session } from "../../src/channel/session.ts";
import { readInvocation } from "../../src/config/invocation.ts";
import { SESSION_MAKERS } from "../../src/dialect/dialects.ts";
import type { Guest } from "../../src/guest.ts";
import type { Log } from "../../src/log.ts";
import type { Origin } from "../../src/policy.ts";
import { isObject, type Json, parseJson } from "../lab/qga-client.ts";

export interface Talk {
  readonly session: Session;
  /** Sends text, or objects as lines. */
  say(...lines: (string | { readonly [member: string]: Json })[]): void;
  /** What was sent since it was last asked. */
  heard(): { readonly [member: string]: Json }[];
  /** What was logged. */
  readonly logged: string[];
  /** Whether the host does not read. */
  blocked: boolean;
  end(): void;
}

export interface TalkOptions {
  readonly guest?: Partial<Guest>;
  /** Words of the command line. */
  readonly args?: readonly string[];
  readonly frozen?: () => boolean;
  readonly portName?: string;
}

/** Starts a conversation in a dialect. */
export function talk(dialect: Origin["dialect"], options: TalkOptions = {}): Talk {
  const invocation = readInvocation(
    ["--dialect", dialect, "-t", "/tmp", ...(options.args ?? [])],
    {},
    { readText: () => "", exists: () => false },
    () => ({ paths: guest.paths, ports: guest.ports.defaults, activated: undefined }),
  );
  if (invocation.kind !== "run") throw new Error(invocation.kind);
  const { config } = invocation;
  const logged: string[] = [];
  const log: Log = {
    write: (level, text) => logged.push(`${level}: ${text}`),
    account: (text) => logged.push(`account: ${text}`),
    pause() {},
    resume() {},
  };
  // Not a copy: that would load what the guest makes only when it is asked for.
  const theGuest: Guest = Object.setPrototypeOf({ ...options.guest }, guest);
  const freeze = createFreeze({ guest: theGuest, config, log });
  const agent: Agent = {
    guest: theGuest,
    config,
    log,
    files: createFileHandles(
      theGuest,
      () => 1,
      () => false,
    ),
    execs: createExecs(theGuest),
    freeze:
      options.frozen === undefined ? freeze : Object.defineProperty({ ...freeze }, "frozen", { get: options.frozen }),
  };
  let text = "";
  const state = { blocked: false };
  const outbox = {
    text: (added: string) => {
      text += added;
    },
    body: () => {},
    flush: () => {},
    clear: () => {},
    get blocked() {
      return state.blocked;
    },
  };
  let unread = "";
  const feed = (): void => {
    const bytes = Buffer.from(unread);
    unread = "";
    const stopped = session.push(bytes, 0, bytes.length);
    unread = bytes.subarray(stopped).toString();
  };
  const origin = { dialect, portName: options.portName };
  const session = SESSION_MAKERS[dialect]()(
    agent,
    origin,
    outbox,
    () => unread !== "" && feed(),
    () => false,
  );
  return {
    session,
    logged,
    say(...lines) {
      unread += lines.map((line) => (typeof line === "string" ? line : `${JSON.stringify(line)}\n`)).join("");
      feed();
    },
    heard() {
      const lines = text.split("\n").slice(0, -1).map(parseJson);
      text = "";
      return lines.filter(isObject);
    },
    get blocked() {
      return state.blocked;
    },
    set blocked(value) {
      state.blocked = value;
    },
    end() {
      session.reset();
      session.ended?.();
    },
  };
}
