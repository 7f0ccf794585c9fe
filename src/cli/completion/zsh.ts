/** Completion for zsh. */
import { type CompletedOption, type CompletedWord, type Grammar, spellings, type ValueKind } from "./grammar.ts";

/** Inside of single quotes. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** In a specification of `_arguments` or `_describe`, where a colon and brackets mean something. */
const plain = (text: string): string => text.replace(/[\\:[\]]/g, "\\$&");

const ACTIONS: Readonly<Record<Exclude<ValueKind, "none" | "values">, string>> = {
  any: ": : ",
  file: ":path:_files",
  directory: ":directory:_files -/",
  domain: ":domain:_inguest_domains",
};

const specifiedValue = ({ kind, values }: CompletedOption): string =>
  kind === "none" ? "" : kind === "values" ? `:value:(${values.join(" ")})` : ACTIONS[kind];

/** One specification for each spelling: `'--socket=[help]:path:_files'`. */
function specifications(options: readonly CompletedOption[]): string {
  return options
    .flatMap((option) =>
      spellings(option).map((spelling) => {
        const isLong = spelling.startsWith("--");
        const mark = option.kind === "none" ? "" : option.attached ? (isLong ? "=-" : "-") : isLong ? "=" : "+";
        const value = option.attached ? `:${specifiedValue(option)}` : specifiedValue(option);
        return ` \\\n        ${quoted(`*${spelling}${mark}[${plain(option.help)}]${value}`)}`;
      }),
    )
    .join("");
}

const described = (list: readonly CompletedWord[]): string =>
  list.map(({ name, summary }) => `        ${quoted(`${plain(name)}:${plain(summary)}`)}\n`).join("");

/** @returns a script for a directory of `fpath`, or to be sourced */
export function zshScript({ options, subcommands, ctl }: Grammar): string {
  const subcommandCases = subcommands.map(
    ({ name, options: own, words }) =>
      `        ${name}) _arguments -s${specifications(own)}${words.length > 0 ? ` \\\n        '1: :(${words.join(" ")})'` : ""} ;;\n`,
  );
  const verbCases = ctl.verbs.map(
    ({ name, options: own, takesFiles }) =>
      `            ${name}) _arguments -s "$common[@]"${specifications(own)}${takesFiles ? " \\\n        '*:path:_files'" : ""} ;;\n`,
  );
  const commandCases = ctl.commands.map(
    ({ name, arguments: given }) =>
      `            ${name}) compadd -S '' -- ${given.map((key) => `${key}=`).join(" ")} ;;\n`,
  );
  return `#compdef inguest
# Completion of inguest for zsh; made by: inguest completion zsh

_inguest_domains() {
    local -a domains=(\${(f)"$(virsh list --name 2>/dev/null)"})
    compadd -a domains
}

_inguest_subcommands() {
    local -a list=(
${described([{ name: "ctl", summary: ctl.summary }, ...subcommands])}    )
    _describe -t subcommands subcommand list
}

_inguest_verbs() {
    local -a verbs=(
${described(ctl.verbs)}    )
    local -a commands=(
${described(ctl.commands)}    )
    _describe -t verbs verb verbs
    _describe -t commands 'command of the agent' commands
}

_inguest_ctl() {
    local curcontext=$curcontext state line
    typeset -A opt_args
    local -a common=(${specifications(ctl.options)}
    )
    _arguments -C -s "$common[@]" '1: :_inguest_verbs' '*:: :->rest' && return
    [[ $state == rest ]] && case $words[1] in
${[...verbCases, ...commandCases].join("")}    esac
}

_inguest() {
    case $words[2] in
        ctl) shift words; (( CURRENT-- )); _inguest_ctl; return ;;
        ${subcommands.map(({ name }) => name).join("|")}) shift words; (( CURRENT-- )) ;;
    esac
    case $words[1] in
${subcommandCases.join("")}        *) _arguments -s${specifications(options)} \\
        '1: :_inguest_subcommands' ;;
    esac
}

# As a file of fpath it is called at once; sourced, it waits.
if [[ $funcstack[1] == _inguest ]]; then _inguest "$@"; else compdef _inguest inguest; fi
`;
}
