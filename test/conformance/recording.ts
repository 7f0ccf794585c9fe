/**
 * The recorded conversation with qemu-ga 10.0.13: one JSON object a line, byte strings as Latin-1 text.
 *
 * `{"case", "send", "reply"}`; `status` and `status-again` are what guest-exec-status said until and after the end of
 * a program; `shape` stands in place of a reply that depends on the machine.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isObject, type Json, parseJson } from "../lab/qga-client.ts";

/** What is sent, and the name it goes by. */
export interface Request {
  readonly name: string;
  /** Bytes as Latin-1; `{H}` is the handle that was opened last, `{FILE}` a path of the agent's own. */
  readonly send: string;
}

/** What came back, in a form that can be compared: see `normal` in `conversation.ts`. */
export interface Outcome {
  readonly reply: string;
  /** Whether it came, or the beginning of it, before anything else was sent. */
  readonly prompt: boolean;
  /** Of a program: the status that said "exited". */
  readonly status?: string;
  /** Of a program: the status that was asked for after that. */
  readonly statusAgain?: string;
}

export interface Recorded extends Request {
  readonly outcome: Outcome | undefined;
  /** Types in place of a reply: `{"host-name": "str"}`; a member with a question mark may be left out. */
  readonly shape: Json | undefined;
}

/** The file that the recorded conversation wrote to and read from. */
const RECORDED_FILE = "/tmp/ig-conf";

const text = (value: Json | undefined): string | undefined => (typeof value === "string" ? value : undefined);

/** A long reply was recorded as `beginning...(N bytes)...end`: the middle repeats the last character before it. */
function expanded(reply: string): string {
  const cut = /^(.*?)\.\.\.\((\d+) bytes\)\.\.\.(.*)$/s.exec(reply);
  if (cut === null) return reply;
  const [, before = "", total = "", after = ""] = cut;
  return before + before.slice(-1).repeat(Number(total) - before.length - after.length) + after;
}

/** The handle that a request has opened. */
export const openedHandle = (send: string, reply: string): string | undefined =>
  send.includes('"guest-file-open"') ? /^\{"return": (\d+)\}/.exec(reply)?.[1] : undefined;

/** A reply with `{H}` in place of the handle. */
export const symbolicHandle = (send: string, reply: string, handle: string): string =>
  openedHandle(send, reply) === undefined ? reply.replaceAll(`'${handle}'`, "'{H}'") : reply.replace(handle, "{H}");

const PID = /("pid": )\d+/;

/** Reads the recording; handles become symbolic as they are opened. */
export function readRecording(): readonly Recorded[] {
  const path = join(import.meta.dir, "qemu-ga-10.0.13.jsonl");
  let handle = "";
  const symbolic = (line: string): string =>
    (handle === "" ? line : line.replaceAll(`"handle": ${handle}`, '"handle": {H}')).replaceAll(
      RECORDED_FILE,
      "{FILE}",
    );
  return readFileSync(path, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => {
      const row = parseJson(line);
      if (!isObject(row)) throw new Error(`not a row: ${line.slice(0, 100)}`);
      const name = text(row.case) ?? "";
      const send = symbolic(text(row.send) ?? "");
      const reply = text(row.reply);
      if (reply === undefined) return { name, send, outcome: undefined, shape: row.shape };
      handle = openedHandle(send, reply) ?? handle;
      const named = symbolicHandle(send, reply.replace(PID, "$1{PID}"), handle);
      const status = text(row.status);
      const statusAgain = text(row["status-again"]);
      const outcome: Outcome = {
        prompt: true,
        // A flood of errors was recorded like a long value, but it does not repeat one character.
        reply: /^\{"error"/.test(named) ? named : expanded(named),
        ...(status === undefined ? {} : { status: expanded(status) }),
        ...(statusAgain === undefined ? {} : { statusAgain }),
      };
      return { name, send, outcome, shape: undefined };
    });
}
