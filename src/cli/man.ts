/** `inguest man [ctl]`: the manual pages, made from the tables of options, verbs and commands. */
import type { DescribedOption } from "../config/help.ts";
import { optionsFor } from "../config/options.ts";
import { declaredCommands } from "../dialect/qga/table.ts";
import { QGA_VERSION } from "../dialect/qga/version.ts";
import type { Guest } from "../guest.ts";
import { VERSION } from "../version.ts";
import { optionFacts } from "./agent.ts";
import { grammar } from "./completion/grammar.ts";
import { VERBS } from "./ctl/table.ts";
import { EXIT, type Verb } from "./ctl/verb.ts";
import { CTL_OPTIONS, DEFAULT_TIMEOUT_S, TARGET_OPTIONS } from "./ctl-options.ts";
import { print } from "./print.ts";

/** Text of a page: a backslash, a leading dot or quote and a hyphen would mean something to troff (groff(7)). */
export const troff = (text: string): string =>
  text
    .replaceAll("\\", "\\(rs")
    .replaceAll("-", "\\-")
    .replaceAll("'", "\\(aq")
    .replaceAll("`", "\\(ga")
    .replaceAll("~", "\\(ti")
    .replaceAll("^", "\\(ha")
    .replace(/^\./gm, "\\&.");

const bold = (text: string): string => `\\fB${troff(text)}\\fR`;
const italic = (text: string): string => `\\fI${troff(text)}\\fR`;

/** A sentence of our own from a text that begins in lower case and has no full stop. */
const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

/** A heading begins a paragraph by itself. */
const section = (title: string, ...body: readonly string[]): string =>
  `.SH ${title}\n${body.join("").replace(/^\.PP\n/, "")}`;
const paragraph = (text: string): string => `.PP\n${troff(text)}\n`;
const item = (head: string, ...body: readonly string[]): string => `.TP\n${head}\n${body.join("\n.IP\n")}\n`;
const example = (...lines: readonly string[]): string => `.PP\n.RS 4\n.nf\n${lines.map(troff).join("\n")}\n.fi\n.RE\n`;

function optionItem(option: DescribedOption, facts: Readonly<Record<string, unknown>>): string {
  const { short, long, argument, placeholder = "" } = option;
  const value = { none: "", required: `=${italic(placeholder)}`, optional: `[=${italic(placeholder)}]` }[argument];
  const names = [...(short === undefined ? [] : [bold(`-${short}`)]), `${bold(`--${long}`)}${value}`];
  const text = option.help.replace(/\{(\w+)\}/g, (name, fact: string) => String(facts[fact] ?? name));
  return item(names.join(", "), troff(sentence(text)));
}

/** The words of a usage line: those in capitals stand for others. */
const usageWords = (text: string): string =>
  text
    .split(" ")
    .map((word) => (/^\W*[A-Z]+(\W|$)/.test(word) ? italic(word) : bold(word)))
    .join(" ");

const title = (name: string): string => `.TH ${name.toUpperCase()} 1 "" "inguest ${VERSION}" "inguest"\n`;

function agentPage(guest: Guest): string {
  const facts = optionFacts(guest);
  const { subcommands, ctl } = grammar();
  return [
    title("inguest"),
    section("NAME", "inguest \\- guest agent for virtual machines\n"),
    section(
      "SYNOPSIS",
      `${bold("inguest")} [${bold("-m")} ${italic("METHOD")}] [${bold("-p")} ${italic("PATH")}] [${italic("OPTION")}...]\n`,
      ".br\n",
      `${bold("inguest ctl")} ${italic("TARGET")} ${italic("VERB")} [${italic("OPERAND")}...]\n`,
      ...subcommands.map(({ name }) => `.br\n${bold(`inguest ${name}`)} [${italic("OPTION")}...]\n`),
    ),
    section(
      "DESCRIPTION",
      paragraph(
        `Runs in a virtual machine and answers its host exactly as qemu-ga ${QGA_VERSION} does: hosts and tools that know the QEMU guest agent need no change. Options, config file, state, hooks and exit codes are those of qemu-ga, and some are added.`,
      ),
    ),
    section("OPTIONS", ...optionsFor(guest.services !== undefined).map((option) => optionItem(option, facts))),
    section(
      "SUBCOMMANDS",
      item(bold("ctl"), troff(`${ctl.summary}; see inguest-ctl(1).`)),
      ...subcommands.map(({ name, summary }) =>
        item(bold(name), troff(`${summary}. inguest ${name} --help tells more.`)),
      ),
    ),
    section(
      "FILES",
      item(italic(guest.paths.configFile), troff("The config file; inguest -D prints all settings in its form.")),
      item(italic(guest.paths.statedir), troff("The state that outlives the agent.")),
      item(italic(guest.paths.fsfreezeHook), troff("The script that is run before filesystems are frozen and after.")),
    ),
    section("EXIT STATUS", paragraph("0 when it was asked to end, and 1 when it could not begin or go on.")),
    section("SEE ALSO", `${bold("inguest-ctl")}(1), ${bold("qemu-ga")}(8)\n`),
  ].join("");
}

const ctlFacts = { timeout: String(DEFAULT_TIMEOUT_S) };

const verbSection = ({ name, summary, operands, details = [], options = [] }: Verb): string =>
  [
    `.SS ${usageWords(`${name} ${operands}`.trim())}\n`,
    `${troff(sentence(summary))}\n`,
    ...details.map(paragraph),
    ...options.map((option) => optionItem(option, ctlFacts)),
  ].join("");

function ctlPage(): string {
  const targets = Object.values(TARGET_OPTIONS);
  const others = Object.values(CTL_OPTIONS).filter((option) => !targets.some(({ long }) => long === option.long));
  const commands = declaredCommands().toSorted((a, b) => a.name.localeCompare(b.name));
  return [
    title("inguest-ctl"),
    section("NAME", "inguest\\-ctl \\- talk from the host with the agent of a guest\n"),
    section(
      "SYNOPSIS",
      `${bold("inguest ctl")} ${italic("TARGET")} [${italic("OPTION")}...] ${italic("VERB")} [${italic("OPERAND")}...]\n`,
      `.br\n${bold("inguest ctl")} ${italic("TARGET")} [${italic("OPTION")}...] ${italic("COMMAND")} [${italic("KEY")}=${italic("VALUE")}...]\n`,
    ),
    section(
      "DESCRIPTION",
      paragraph(
        "Does something with a guest by its agent, inguest or qemu-ga. Results are tables on a terminal and a line of JSON otherwise.",
      ),
      example("inguest ctl --libvirt web1 info", "inguest ctl -s /run/vm.sock pull /var/log/syslog"),
    ),
    section("TARGET", ...targets.map((option) => optionItem(option, ctlFacts))),
    section("OPTIONS", ...others.map((option) => optionItem(option, ctlFacts))),
    section("VERBS", ...VERBS.map(verbSection)),
    section(
      "COMMANDS",
      paragraph(
        "Every other word is a command of the agent. A value is a number, true, false or JSON when it looks like one, and a text otherwise or when the command wants one. A KEY given several times makes a list.",
      ),
      example("inguest ctl -s /run/vm.sock guest-exec path=ls arg=-l arg=/ capture-output=true"),
      ...commands.map(({ name, summary, arguments: given }) =>
        item([bold(name), ...Object.keys(given).map((key) => `${italic(key)}=`)].join(" "), troff(summary)),
      ),
    ),
    section(
      "EXIT STATUS",
      item(bold(String(EXIT.success)), troff("Done.")),
      item(bold(String(EXIT.failure)), troff("The agent answered with an error, or something could not be done.")),
      item(bold(String(EXIT.usage)), troff("The command line is wrong.")),
      item(bold(String(EXIT.connection)), troff("No agent could be reached, or it did not answer in time.")),
      item(bold("128+N"), troff("Signal N ended the verb.")),
      paragraph("The verbs exec and freeze give the exit code of the program that they run."),
    ),
    section("SEE ALSO", `${bold("inguest")}(1), ${bold("virsh")}(1)\n`),
  ].join("");
}

const USAGE = "Usage: inguest man [ctl] | man -l -\n";

/** @returns the exit code: 0 done, 2 wrong command line */
export async function man(guest: Guest, args: readonly string[]): Promise<number> {
  const [page = ""] = args;
  if (args.length <= 1 && (page === "" || page === "ctl")) {
    print(page === "" ? agentPage(guest) : ctlPage());
    return 0;
  }
  if (page === "--help" || page === "-h") {
    print(USAGE);
    return 0;
  }
  guest.logs.standardError.write(USAGE);
  return 2;
}
