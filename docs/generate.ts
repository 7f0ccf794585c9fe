/**
 * Writes docs/commands.md from the tables of commands; `--check` only tells, by the exit code, whether it is current.
 *
 * Examples are what the recorded conversation with qemu-ga has; a command that answers differently on each machine is
 * shown with the types of its answer.
 */
import { join } from "node:path";
import { BCLINUX_COMMANDS } from "../src/dialect/qga/bclinux.ts";
import type { Command } from "../src/dialect/qga/command.ts";
import { declaredCommand, declaredCommands } from "../src/dialect/qga/table.ts";
import { type Recorded, readRecording } from "../test/conformance/recording.ts";
import { isOptional, itemOf, members, notation } from "./notation.ts";
import { platforms } from "./platforms.ts";

const PATH = join(import.meta.dir, "commands.md");
/** An example longer than this says less than the types. */
const LONGEST_EXAMPLE = 400;

interface Example {
  readonly send: string;
  readonly reply: string;
}

const plain = (text: string): string =>
  text
    .trim()
    .replaceAll("\xff", "")
    .replaceAll("{H}", "1000")
    .replaceAll("{PID}", "2741")
    .replaceAll("{FILE}", "/tmp/note");

/** A request as hosts write it, without what is not needed. */
const isProper = ({ name, send }: Recorded): boolean =>
  !/unknown member|empty arguments/.test(name) && /^\{"execute": |^\{"execute":"guest-sync/.test(send);

const recording = readRecording();

function recordedExamples(command: string): Example[] {
  if (command === "guest-exec-status") {
    return recording.flatMap(({ outcome }) =>
      outcome?.status === undefined
        ? []
        : [{ send: `{"execute": "${command}", "arguments": {"pid": 2741}}`, reply: outcome.status.trim() }],
    );
  }
  return recording
    .filter((row) => isProper(row) && /"execute": ?"([^"]*)"/.exec(row.send)?.[1] === command)
    .flatMap(({ send, outcome }) =>
      outcome === undefined ? [] : [{ send: plain(send), reply: plain(outcome.reply) }],
    );
}

/** The recorded exchange that shows most. */
const bestExample = (command: string): Example | undefined =>
  recordedExamples(command)
    .filter(({ reply }) => reply.startsWith('{"return"') && reply.length <= LONGEST_EXAMPLE && !reply.includes("\n"))
    .sort((a, b) => b.reply.length - a.reply.length || b.send.length - a.send.length)[0];

function exampleOf({ name, arguments: given, returns, successResponse }: Command): Example {
  const recorded = bestExample(name);
  if (recorded !== undefined) return recorded;
  const needed = Object.entries(given).map(
    ([member, schema]) => `"${member}"${isOptional(schema) ? "?" : ""}: ${notation(schema)}`,
  );
  const args = needed.length === 0 ? "" : `, "arguments": {${needed.join(", ")}}`;
  return {
    send: `{"execute": "${name}"${args}}`,
    reply: successResponse === false ? "" : `{"return": ${notation(returns)}}`,
  };
}

const supporting = (command: Command): string[] =>
  Object.entries(platforms)
    .filter(([, guest]) => command.supported?.(guest) ?? true)
    .map(([name]) => name);

const cell = (text: string): string => text.replaceAll("|", "\\|");

function argumentTable({ arguments: given }: Command): string {
  const rows = Object.entries(given).map(
    ([name, schema]) => `| \`${name}\` | ${cell(notation(schema))} | ${isOptional(schema) ? "may be left out" : ""} |`,
  );
  return rows.length === 0 ? "" : `\n| argument | type | |\n|---|---|---|\n${rows.join("\n")}\n`;
}

/** Members of the answer, or of the items when it is a list. */
function resultTable({ returns }: Command): string {
  const inner = itemOf(returns);
  const rows = members(inner).map(
    ([name, schema]) => `| \`${name}\` | ${cell(notation(schema))} | ${isOptional(schema) ? "may be missing" : ""} |`,
  );
  if (rows.length === 0) return "";
  return `\n| ${inner === returns ? "result" : "each item"} | type | |\n|---|---|---|\n${rows.join("\n")}\n`;
}

function section(command: Command): string {
  const { send, reply } = exampleOf(command);
  const facts = [
    /^\d/.test(command.since) ? `since QEMU ${command.since}` : "",
    supporting(command).join(" and "),
    command.allowedWhenFrozen === true ? "also while filesystems are frozen" : "",
    command.successResponse === false ? "answers only when it fails" : "",
    command.delimited === true ? "the answer is led by a 0xFF byte" : "",
  ];
  const example = ["```", `→ ${send}`, ...(reply === "" ? [] : [`← ${reply}`]), "```"].join("\n");
  const tables = argumentTable(command) + resultTable(command);
  return `### ${command.name}\n\n${example}\n\n${command.summary}\n\n${facts.filter(Boolean).join(" · ")}\n${tables}`;
}

const byName = (commands: readonly Command[]): Command[] => commands.toSorted((a, b) => a.name.localeCompare(b.name));

function overview(commands: readonly Command[]): string {
  const systems = Object.keys(platforms);
  const rows = byName(commands).map((command) => {
    const on = supporting(command);
    return `| [${command.name}](#${command.name}) | ${systems.map((system) => (on.includes(system) ? "yes" : "–")).join(" | ")} |`;
  });
  return `| command | ${systems.join(" | ")} |\n|---|${systems.map(() => "---|").join("")}\n${rows.join("\n")}\n`;
}

function document(): string {
  return [
    "# Commands",
    "",
    "```",
    "→ " + exampleOf(declaredCommand("guest-file-read")!).send,
    "← " + exampleOf(declaredCommand("guest-file-read")!).reply,
    "```",
    "",
    "`→` is what a host sends, `←` what the agent answers. Where an answer depends on the machine, its types stand in",
    "its place: `integer` has 64 bits with a sign, `uint64` has none, `…` means more of the same, and a member with a",
    "question mark may be missing. A failed command is answered with",
    '`{"error": {"class": "GenericError", "desc": "what went wrong"}}`.',
    "",
    "This page is made from the declarations of the commands by `npm run docs`. The code of a command stands in",
    "`src/dialect/qga/commands/`, declared under its name.",
    "",
    overview(declaredCommands()),
    ...byName(declaredCommands()).map(section),
    "## With `--dialect bclinux` besides",
    "",
    overview(BCLINUX_COMMANDS),
    ...byName(BCLINUX_COMMANDS).map(section),
  ].join("\n");
}

const text = `${document().trimEnd()}\n`;
if (process.argv.includes("--check")) {
  const file = Bun.file(PATH);
  const isCurrent = (await file.exists()) && (await file.text()) === text;
  if (!isCurrent) console.error("docs/commands.md is not current: npm run docs");
  process.exit(isCurrent ? 0 : 1);
}
await Bun.write(PATH, text);
process.exit(0);
