/** What keeps the conversation going. */
import * as v from "valibot";
import { ovirtCommand } from "../command.ts";
import { API_VERSION, type ApiVersion } from "../message.ts";
import { echo } from "../messages/answers.ts";

const isApiVersion = (value: number): value is ApiVersion =>
  Number.isInteger(value) && value >= 0 && value <= API_VERSION;

/** A version that both know; what is no number gives undefined. */
const version = v.pipe(
  v.unknown(),
  v.transform((value) => {
    const wanted = typeof value === "string" && value.trim() === "" ? Number.NaN : Number(value);
    const common = Math.max(0, Math.min(Math.trunc(wanted), API_VERSION));
    return isApiVersion(common) ? common : undefined;
  }),
);

export const apiVersion = ovirtCommand({
  name: "api-version",
  summary: "Sets the API version, at most 3, and sends everything again when it has changed.",
  arguments: { apiVersion: version },
  allowedWhenFrozen: true,
  run({ apiVersion: wanted }, conversation) {
    if (wanted === undefined || wanted === conversation.apiVersion) return;
    conversation.apiVersion = wanted;
    conversation.refresh();
  },
});

export const refresh = ovirtCommand({
  name: "refresh",
  summary: "Sends everything again. A host that gives no `apiVersion` knows no versions: then it is 0.",
  arguments: { apiVersion: v.optional(v.unknown()) },
  allowedWhenFrozen: true,
  run({ apiVersion: known }, conversation) {
    if (known === undefined) conversation.apiVersion = 0;
    conversation.refresh();
  },
});

export const echoCommand = ovirtCommand({
  name: "echo",
  summary: "Sends back what came.",
  arguments: {},
  allowedWhenFrozen: true,
  run: (_values, conversation, given) => conversation.say(echo, given),
});
