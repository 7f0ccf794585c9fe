/** Completion for bash. It needs nothing of the package bash-completion. */
import { type CompletedOption, type Grammar, spellings, type ValueKind } from "./grammar.ts";

const words = (list: readonly string[]): string => list.join(" ");

const ACTIONS: Readonly<Record<Exclude<ValueKind, "none" | "values">, string>> = {
  any: "return",
  file: "_inguest_files -f; return",
  directory: "_inguest_files -d; return",
  domain: '_inguest_words "$(virsh list --name 2>/dev/null)"; return',
};

const actionOf = ({ kind, values }: CompletedOption): string =>
  kind === "values" ? `_inguest_words "${words(values)}"; return` : kind === "none" ? "" : ACTIONS[kind];

/** Cases for options with a value; the scope is the words before: `ctl pull --socket`. */
const valueCases = (scope: string, options: readonly CompletedOption[], action: (option: CompletedOption) => string) =>
  options
    .filter(({ kind, attached }) => kind !== "none" && !attached)
    .map((option) => {
      const patterns = spellings(option).map((spelling) => `${scope}" ${spelling}"`);
      return `        ${patterns.join("|")}) ${action(option)} ;;\n`;
    })
    .join("");

function allValueCases({ options, subcommands, ctl }: Grammar, action: (option: CompletedOption) => string): string {
  return [
    valueCases("", options, action),
    ...subcommands.map((subcommand) => valueCases(subcommand.name, subcommand.options, action)),
    ...ctl.verbs.map((verb) => valueCases(`"ctl ${verb.name}"`, verb.options, action)),
    valueCases("ctl*", ctl.options, action),
  ].join("");
}

const optionWords = (options: readonly CompletedOption[]): string => words(options.flatMap(spellings));

/** @returns a script to be sourced */
export function bashScript(grammar: Grammar): string {
  const { options, subcommands, ctl } = grammar;
  const verbCases = ctl.verbs.map(
    ({ name, options: own, takesFiles }) =>
      `        "ctl ${name}") _inguest_operands "${optionWords([...own, ...ctl.options])}" ${takesFiles ? "-f" : '""'} ;;\n`,
  );
  const subcommandCases = subcommands.map(
    ({ name, options: own, words: operands }) =>
      `        ${name}) _inguest_words "${words(operands)} ${optionWords(own)}" ;;\n`,
  );
  const commandCases = ctl.commands.map(
    ({ name, arguments: given }) =>
      `        "ctl ${name}") _inguest_words "${words(given.map((key) => `${key}=`))}"; compopt -o nospace ;;\n`,
  );
  const verbNames = ctl.verbs.map(({ name }) => name);
  return `# Completion of inguest for bash; made by: inguest completion bash

_inguest_words() {
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

_inguest_files() {
    mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
    compopt -o filenames
}

_inguest_operands() {
    if [[ $cur != -* && -n $2 ]]; then _inguest_files "$2"; else _inguest_words "$1"; fi
}

_inguest() {
    local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} scope="" word i
    COMPREPLY=()
    # bash takes the equals sign of an option for a word.
    if [[ $cur == "=" ]]; then cur=""
    elif [[ $prev == "=" ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=\${COMP_WORDS[i]}
        case "$scope $word" in
            *" =") i=$((i + 1)); continue ;;
            *" -"*)
                case "$scope $word" in
${allValueCases(grammar, () => `[[ \${COMP_WORDS[i+1]} == "=" ]] || i=$((i + 1))`)}                esac
                continue ;;
        esac
        case $scope in
            "") scope=$word ;;
            ctl) scope="ctl $word" ;;
        esac
    done
    case "$scope $prev" in
${allValueCases(grammar, actionOf)}    esac
    case $scope in
        "") _inguest_words "ctl ${words(subcommands.map(({ name }) => name))} ${optionWords(options)}" ;;
        ctl) _inguest_words "${words(verbNames)} ${words(ctl.commands.map(({ name }) => name))} ${optionWords(ctl.options)}" ;;
${[...subcommandCases, ...verbCases, ...commandCases].join("")}    esac
}

complete -F _inguest inguest
`;
}
