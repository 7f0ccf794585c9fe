/** Answers to commands. */
import * as v from "valibot";
import type { Json, JsonObject } from "../../../framing/json.ts";
import { message } from "../message.ts";

export const echo = message({
  name: "echo",
  version: 0,
  summary: "What the host has sent, unchanged.",
  content: {},
  make: (_facts, { __name__, ...given }: JsonObject) => given,
});

export const completion = message({
  name: "completion",
  version: 3,
  summary: "What the host wanted a `reply_id` for is done.",
  content: { reply_id: v.any(), done: v.literal(true) },
  make: (_facts, replyId: Json) => ({ reply_id: replyId, done: true as const }),
});
