/** `inguest completion SHELL`: what makes a shell complete the words of `inguest`. */
import type { Guest } from "../../guest.ts";
import { print } from "../print.ts";
import { bashScript } from "./bash.ts";
import { fishScript } from "./fish.ts";
import { type Grammar, grammar, SHELLS, type Shell } from "./grammar.ts";
import { zshScript } from "./zsh.ts";

const SCRIPTS: Readonly<Record<Shell, (words: Grammar) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

const isShell = (word: string): word is Shell => Object.hasOwn(SCRIPTS, word);

const USAGE = `Usage: inguest completion ${SHELLS.join("|")}
Prints a script that makes the shell complete options, verbs and commands:
  bash   inguest completion bash >/usr/share/bash-completion/completions/inguest
  zsh    inguest completion zsh >/usr/share/zsh/vendor-completions/_inguest
  fish   inguest completion fish >/usr/share/fish/vendor_completions.d/inguest.fish
`;

/** @returns the exit code: 0 done, 2 wrong command line */
export async function completion(
  { logs }: Pick<Guest, "logs">,
  [shell = "", ...more]: readonly string[],
): Promise<number> {
  if (isShell(shell) && more.length === 0) {
    print(SCRIPTS[shell](grammar()));
    return 0;
  }
  if (shell === "--help" || shell === "-h") {
    print(USAGE);
    return 0;
  }
  logs.standardError.write(USAGE);
  return 2;
}
