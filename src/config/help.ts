/** The text of `--help`, made from an option table. */
import type { OptionForm } from "./getopt.ts";

export interface DescribedOption extends OptionForm {
  /** What the help calls its argument. */
  readonly placeholder?: string;
  /** A sentence without a full stop; `{name}` stands for a fact. */
  readonly help: string;
}

const WIDTH = 80;
const INDENT = 24;

/** Breaks a text into lines of at most `width` characters, as far as its words allow. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

function forms({ short, long, argument, placeholder = "" }: DescribedOption): string {
  const value = { none: "", required: `=${placeholder}`, optional: `[=${placeholder}]` }[argument];
  return `  ${short === undefined ? "    " : `-${short}, `}--${long}${value}`;
}

/**
 * One paragraph for each option.
 * @param facts what stands for `{name}` in the texts
 */
export function describeOptions(options: readonly DescribedOption[], facts: Readonly<Record<string, unknown>>): string {
  const lines = options.flatMap((option) => {
    const text = option.help.replace(/\{(\w+)\}/g, (name, fact: string) => String(facts[fact] ?? name));
    const help = wrap(text, WIDTH - INDENT).map((line) => " ".repeat(INDENT) + line);
    const form = forms(option);
    if (form.length > INDENT - 2) return [form, ...help];
    return [form.padEnd(INDENT) + (help[0]?.trimStart() ?? ""), ...help.slice(1)];
  });
  return `${lines.join("\n")}\n`;
}
