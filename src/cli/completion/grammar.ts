/** All words that a command line of `inguest` can have, gathered from the tables that declare them. */
import type { DescribedOption } from "../../config/help.ts";
import { ALL_OPTIONS, type Option } from "../../config/options.ts";
import { declaredCommands } from "../../dialect/qga/table.ts";
import { VERBS } from "../ctl/table.ts";
import { CTL_OPTIONS } from "../ctl-options.ts";
import { DOCTOR } from "../doctor.ts";
import { INSTALL, UNINSTALL } from "../install.ts";
import { HELP_OPTION } from "../system-work.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** What an option's value is: `values` are all that there are. */
export type ValueKind = "none" | "any" | "file" | "directory" | "domain" | "values";

export interface CompletedOption {
  readonly long: string;
  readonly short?: string | undefined;
  readonly help: string;
  readonly kind: ValueKind;
  readonly values: readonly string[];
  /** The value may be left out, and otherwise is attached. */
  readonly attached: boolean;
}

export interface CompletedWord {
  readonly name: string;
  readonly summary: string;
}

export interface CompletedVerb extends CompletedWord {
  readonly options: readonly CompletedOption[];
  /** Its operands are names of files of the host. */
  readonly takesFiles: boolean;
}

export interface CompletedSubcommand extends CompletedWord {
  readonly options: readonly CompletedOption[];
  /** What its operands can be. */
  readonly words: readonly string[];
}

export interface CompletedCommand extends CompletedWord {
  readonly arguments: readonly string[];
}

export interface Grammar {
  readonly options: readonly CompletedOption[];
  /** All but `ctl`. */
  readonly subcommands: readonly CompletedSubcommand[];
  readonly ctl: {
    readonly summary: string;
    readonly options: readonly CompletedOption[];
    readonly verbs: readonly CompletedVerb[];
    readonly commands: readonly CompletedCommand[];
  };
}

const KINDS: Readonly<Record<string, ValueKind>> = { PATH: "file", DIRECTORY: "directory", DOMAIN: "domain" };

/** The texts that a schema takes, where they are few. */
function valuesOf(option: DescribedOption & Partial<Pick<Option, "value">>): readonly string[] {
  const { value } = option;
  const steps: unknown = value !== undefined && "pipe" in value ? value.pipe : undefined;
  if (!Array.isArray(steps)) return [];
  const list: unknown = steps.find((step) => step.type === "picklist")?.options;
  return Array.isArray(list) ? list.map(String) : [];
}

function completed(option: DescribedOption): CompletedOption {
  const { long, short, help, argument, placeholder = "" } = option;
  const values = valuesOf(option);
  const kind = argument === "none" ? "none" : values.length > 0 ? "values" : (KINDS[placeholder] ?? "any");
  return { long, short, help, kind, values, attached: argument === "optional" };
}

const FILE_OPERANDS: readonly string[] = ["pull", "push"];

/** The first line of what a subcommand says of itself that is no usage, up to its full stop. */
const summaryOf = (about: string): string => /\n([^.]*)\./.exec(about)?.[1]?.replaceAll("\n", " ") ?? "";

export const grammar = (): Grammar => ({
  options: ALL_OPTIONS.map(completed),
  subcommands: [
    ...[INSTALL, UNINSTALL, DOCTOR].map(({ name, about, options }) => ({
      name,
      summary: summaryOf(about),
      options: [...options, HELP_OPTION].map(completed),
      words: [],
    })),
    { name: "completion", summary: "Prints a completion script for a shell", options: [], words: SHELLS },
    { name: "man", summary: "Prints a manual page, in the form that man(1) reads", options: [], words: ["ctl"] },
  ],
  ctl: {
    summary: "Talks from the host with the agent of a guest",
    options: Object.values(CTL_OPTIONS).map(completed),
    verbs: VERBS.map(({ name, summary, options = [] }) => ({
      name,
      summary,
      options: options.map(completed),
      takesFiles: FILE_OPERANDS.includes(name),
    })),
    commands: declaredCommands()
      .map(({ name, summary, arguments: given }) => ({
        name,
        summary,
        arguments: Object.keys(given),
      }))
      .toSorted((a, b) => a.name.localeCompare(b.name)),
  },
});

/** As it is typed: `--socket`, `-s`. */
export const spellings = ({ long, short }: CompletedOption): string[] => [
  `--${long}`,
  ...(short === undefined ? [] : [`-${short}`]),
];
