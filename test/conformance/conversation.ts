/** Asking an agent one request after the other, as a host would, and telling how two agents' answers differ. */
import { isObject, type Json, parseJson } from "../lab/qga-client.ts";
import { type Outcome, openedHandle, type Request, symbolicHandle } from "./recording.ts";
import type { Exchange, Wire } from "./wire.ts";

export interface Conversation {
  /** @param patience milliseconds to wait for a reply before a sync is sent after the request; 5000 unless told */
  ask(request: Request, patience?: number): Promise<Outcome>;
}

export interface ConversationOptions {
  /** The file that takes the place of `{FILE}`. */
  readonly file: string;
  /** Milliseconds before the first guest-exec-status. Real qemu-ga may report the end before the output is complete. */
  readonly statusDelay: number;
}

const STATUS_INTERVAL = 20;
const STATUS_ATTEMPTS = 500;

/** Begins a conversation; handles, paths and process ids come back as `{H}`, `{FILE}` and `{PID}`. */
export function converse(wire: Wire, { file, statusDelay }: ConversationOptions): Conversation {
  let handle = "";

  const exchange = (send: string, patience?: number): Promise<Exchange> =>
    wire.exchange(
      [send.replaceAll("{H}", handle || "-1").replaceAll("{FILE}", file)],
      patience === undefined ? {} : { patience },
    );

  const named = (send: string, reply: string): string => symbolicHandle(send, reply, handle).replaceAll(file, "{FILE}");

  const programEnd = async (pid: string): Promise<{ status: string; statusAgain: string }> => {
    const ask = `{"execute": "guest-exec-status", "arguments": {"pid": ${pid}}}\n`;
    await Bun.sleep(statusDelay);
    let status = (await exchange(ask)).reply;
    for (let attempts = 0; status.includes('"exited": false') && attempts < STATUS_ATTEMPTS; attempts++) {
      await Bun.sleep(STATUS_INTERVAL);
      status = (await exchange(ask)).reply;
    }
    return { status, statusAgain: (await exchange(ask)).reply.replaceAll(pid, "{PID}") };
  };

  return {
    async ask({ send }, patience) {
      const { reply, prompt } = await exchange(send, patience);
      handle = openedHandle(send, reply) ?? handle;
      const pid = send.includes('"guest-exec"') ? /"pid": (\d+)/.exec(reply)?.[1] : undefined;
      if (pid === undefined) return { reply: named(send, reply), prompt };
      return { prompt, reply: reply.replaceAll(pid, "{PID}"), ...(await programEnd(pid)) };
    },
  };
}

/** A reply's lines as values; what is no JSON stays text. */
function values(reply: string): Json[] {
  return reply.split("\n").map((line) => {
    // Names that were put in for numbers.
    const bare = line.replaceAll(/: \{(H|PID)\}/g, ': "{$1}"');
    const delimited = bare.startsWith("\xff");
    try {
      const value = parseJson(delimited ? bare.slice(1) : bare);
      return delimited ? { delimited: value } : value;
    } catch {
      return bare;
    }
  });
}

const short = (value: Json | undefined): string => {
  const text =
    value === undefined ? "nothing" : JSON.stringify(value, (_, it) => (typeof it === "bigint" ? String(it) : it));
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
};

/** How far fractions may be apart: there are two sources for the load, one of which has hundredths. */
const ROUNDING = 0.01;

const isNumber = (value: Json | undefined): value is number | bigint =>
  typeof value === "number" || typeof value === "bigint";

/** The first member that differs. A number may lie between the peer's value and the one it had `after`. */
function firstDifference(
  path: string,
  theirs: Json | undefined,
  ours: Json | undefined,
  after: Json | undefined,
): string | undefined {
  if (Array.isArray(theirs) && Array.isArray(ours)) {
    const later = Array.isArray(after) ? after : [];
    for (let index = 0; index < Math.max(theirs.length, ours.length); index++) {
      const found = firstDifference(`${path}[${index}]`, theirs[index], ours[index], later[index]);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (isObject(theirs) && isObject(ours)) {
    const later = isObject(after) ? after : {};
    for (const name of new Set([...Object.keys(theirs), ...Object.keys(ours)])) {
      const found = firstDifference(`${path}.${name}`, theirs[name], ours[name], later[name]);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (theirs === ours) return undefined;
  if (typeof theirs === "number" && typeof ours === "number" && !Number.isInteger(theirs)) {
    if (Math.abs(theirs - ours) <= ROUNDING) return undefined;
  }
  if (isNumber(theirs) && isNumber(ours) && isNumber(after)) {
    const isBetween = theirs <= after ? theirs <= ours && ours <= after : after <= ours && ours <= theirs;
    if (isBetween) return undefined;
  }
  return `${path}: theirs ${short(theirs)}, ours ${short(ours)}`;
}

/**
 * Says what differs, member by member; the order of members does not count.
 * @param after what the peer said when it was asked again: numbers that have moved on
 */
export function replyDifference(theirs: string, ours: string, after = theirs): string | undefined {
  if (theirs === ours) return undefined;
  return firstDifference("reply", values(theirs), values(ours), values(after));
}

const TYPES: Readonly<Record<string, (value: Json) => boolean>> = {
  str: (value) => typeof value === "string",
  bool: (value) => typeof value === "boolean",
  // qemu writes 1.0 as 1.
  float: (value) => typeof value === "number",
  int: (value) => typeof value === "bigint" || Number.isInteger(value),
};

/** Members that the machine of the recording had and another may not. */
const DEPENDS_ON_MACHINE = new Set([
  "address",
  "hardware-address",
  "zone",
  "name",
  "version",
  "version-id",
  "pretty-name",
  "id",
]);

/** Says where a reply has not the recorded shape; a list's items all have its first item's. */
export function shapeDifference(shape: Json, value: Json | undefined, path = "return"): string | undefined {
  if (typeof shape === "string") {
    return value !== undefined && TYPES[shape]?.(value)
      ? undefined
      : `${path}: ${shape} expected, ours ${short(value)}`;
  }
  if (Array.isArray(shape)) {
    if (!Array.isArray(value)) return `${path}: a list expected, ours ${short(value)}`;
    const item = shape[0];
    if (item === undefined) return undefined;
    for (const [index, entry] of value.entries()) {
      const found = shapeDifference(item, entry, `${path}[${index}]`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (!isObject(shape) || !isObject(value)) return `${path}: an object expected, ours ${short(value)}`;
  for (const [key, inner] of Object.entries(shape)) {
    const name = key.replace(/\?$/, "");
    const member = value[name];
    if (member === undefined && (name !== key || DEPENDS_ON_MACHINE.has(name))) continue;
    const found = shapeDifference(inner, member, `${path}.${name}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** qemu's spelling: a blank behind each comma and colon outside of strings, nothing but ASCII. */
export function spellingFault(reply: string): string | undefined {
  for (const line of reply.split("\n")) {
    const bare = line.startsWith("\xff") ? line.slice(1) : line;
    const structure = bare.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
    if (/[^\x20-\x7e]/.test(bare) || /[,:](?! )|[,:] {2}|[^,:] |[[{] | [\]}]/.test(structure)) return line;
  }
  return undefined;
}
