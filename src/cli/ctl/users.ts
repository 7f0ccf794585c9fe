/** `inguest ctl users`: who is logged in. */
import type { Json } from "../../framing/json.ts";
import { itemsOf, numberOf, textOf } from "./reply.ts";
import { EXIT, show, type Verb } from "./verb.ts";

/** `2026-11-21 08:40:12`, in the host's time zone. */
function timeText(seconds: number): string {
  const local = new Date(seconds * 1000 - new Date(seconds * 1000).getTimezoneOffset() * 60_000);
  return Number.isNaN(local.getTime()) ? "?" : local.toISOString().slice(0, 19).replace("T", " ");
}

function rowOf(user: Json): Json {
  const since = numberOf(user, "login-time");
  return {
    user: textOf(user, "user") ?? "?",
    domain: textOf(user, "domain") ?? null,
    since: since === undefined ? null : timeText(since),
  };
}

export const users = {
  name: "users",
  summary: "list who is logged in, and since when",
  operands: "",
  count: [0, 0],
  async run(context) {
    const found = await context.client.call("guest-get-users", {});
    show(context, found, itemsOf(found).map(rowOf));
    return EXIT.success;
  },
} as const satisfies Verb;
