/** Completion for fish. */
import type { CompletedOption, Grammar, ValueKind } from "./grammar.ts";

const quoted = (text: string): string => `'${text.replace(/['\\]/g, "\\$&")}'`;

const ACTIONS: Readonly<Record<Exclude<ValueKind, "none" | "values">, string>> = {
  any: " -x",
  file: " -r -F",
  directory: " -x -a '(__fish_complete_directories)'",
  domain: " -x -a '(virsh list --name 2>/dev/null)'",
};

const specifiedValue = ({ kind, values }: CompletedOption): string =>
  kind === "none" ? "" : kind === "values" ? ` -x -a ${quoted(values.join(" "))}` : ACTIONS[kind];

/** Options with a short name and a value, which `__inguest_words` has to know to tell values from operands. */
const withValue = (options: readonly CompletedOption[]): string[] =>
  options
    .filter(({ kind, attached }) => kind !== "none" && !attached)
    .flatMap(({ long, short }) => [`--${long}`, ...(short === undefined ? [] : [`-${short}`])]);

function optionLines(condition: string, options: readonly CompletedOption[]): string {
  return options
    .map((option) => {
      const short = option.short === undefined ? "" : ` -s ${option.short}`;
      const value = option.attached ? "" : specifiedValue(option);
      return `complete -c inguest -n ${quoted(condition)} -l ${option.long}${short}${value} -d ${quoted(option.help)}\n`;
    })
    .join("");
}

const wordLine = (condition: string, word: string, summary: string, more = ""): string =>
  `complete -c inguest -n ${quoted(condition)} -a ${quoted(word)}${more} -d ${quoted(summary)}\n`;

/** @returns a script for a directory of `fish_complete_path`, or to be sourced */
export function fishScript({ options, subcommands, ctl }: Grammar): string {
  const isFirst = "__inguest_at";
  const isVerb = "__inguest_at ctl";
  const valued = [...new Set([...withValue(ctl.options), ...ctl.verbs.flatMap((verb) => withValue(verb.options))])];
  return [
    `# Completion of inguest for fish; made by: inguest completion fish

# Whether the operands so far begin with these words, and, when there are no others, whether they are all.
function __inguest_words
    set -l words
    set -l skip 0
    for word in (commandline -opc)[2..]
        if test $skip = 1
            set skip 0
        else if contains -- $word ${valued.join(" ")}
            set skip 1
        else if not string match -q -- '-*' $word
            set -a words $word
        end
    end
    printf '%s\\n' $words
end

function __inguest_at
    set -l words (__inguest_words)
    test "$words" = "$argv"
end

function __inguest_in
    set -l words (__inguest_words)
    test "$words[1..$(count $argv)]" = "$argv"
end

complete -c inguest -f
`,
    wordLine(isFirst, "ctl", ctl.summary),
    ...subcommands.map(({ name, summary }) => wordLine(isFirst, name, summary)),
    optionLines(isFirst, options),
    ...subcommands.flatMap(({ name, options: own, words }) => [
      optionLines(`__inguest_in ${name}`, own),
      ...words.map((word) => wordLine(`__inguest_at ${name}`, word, "")),
    ]),
    optionLines("__inguest_in ctl", ctl.options),
    ...ctl.verbs.flatMap(({ name, summary, options: own, takesFiles }) => [
      wordLine(isVerb, name, summary),
      optionLines(`__inguest_in ctl ${name}`, own),
      takesFiles ? `complete -c inguest -n ${quoted(`__inguest_in ctl ${name}`)} -F\n` : "",
    ]),
    ...ctl.commands.flatMap(({ name, summary, arguments: given }) => [
      wordLine(isVerb, name, summary),
      ...given.map((key) => wordLine(`__inguest_in ctl ${name}`, `${key}=`, "")),
    ]),
  ].join("");
}
