/** `inguest ctl ls-commands`: what the agent can be asked. */
import { declaredCommand } from "../../dialect/qga/table.ts";
import type { Json } from "../../framing/json.ts";
import { isTrue, itemsOf, memberOf, textOf } from "./reply.ts";
import { EXIT, show, type Verb } from "./verb.ts";

const summaryOf = (name: string): string => declaredCommand(name)?.summary ?? "";

/** The first sentence. */
const brief = (summary: string): string => /^.*?[.:;](?= |$)/.exec(summary)?.[0].slice(0, -1) ?? summary;

/** Columns of a row that are neither the name nor the text. */
const BESIDES = "  enabled  ".length;
const LEAST_ROOM = 20;

/** Cuts a text, but not to nothing: the table then has paragraphs. */
const fit = (text: string, room: number): string =>
  text.length <= room || room < LEAST_ROOM ? text : `${text.slice(0, room - 1)}…`;

export const lsCommands = {
  name: "ls-commands",
  summary: "list the commands of the agent",
  operands: "",
  count: [0, 0],
  async run(context) {
    const commands = itemsOf(memberOf(await context.client.call("guest-info", {}), "supported_commands"));
    const byName = (a: Json, b: Json): number => (textOf(a, "name") ?? "").localeCompare(textOf(b, "name") ?? "");
    const sorted = commands.toSorted(byName);
    const longest = Math.max(0, ...sorted.map((command) => textOf(command, "name")?.length ?? 0));
    const room = context.width - longest - BESIDES;
    const rows = sorted.map((command) => {
      const name = textOf(command, "name") ?? "?";
      return {
        command: name,
        enabled: isTrue(command, "enabled") ? "yes" : "no",
        "what it does": fit(brief(summaryOf(name)), room),
      };
    });
    show(context, sorted, rows);
    return EXIT.success;
  },
} as const satisfies Verb;
