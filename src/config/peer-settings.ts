/**
 * The settings of qemu-ga's packages: files of `NAME=value` lines (systemd.exec(5), EnvironmentFile=) whose values their
 * units and init scripts put on the command line.
 *
 * /etc/default/qemu-guest-agent (Debian): DAEMON_ARGS, and TRANSPORT of its script for SysV. /etc/sysconfig/qemu-ga
 * (Fedora, RHEL): BLACKLIST_RPC, FILTER_RPC_ARGS, QEMU_GA_ARGS, FSFREEZE_HOOK_PATHNAME. /etc/conf.d/qemu-guest-agent
 * (Alpine, Gentoo): GA_METHOD, GA_PATH, GA_OPTIONS. /etc/sv/qemu-ga/conf (Void): OPTS.
 */

/** A value without the quotes that enclose it or parts of it. */
function unquote(text: string): string {
  return text.replace(
    /"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/gs,
    (_, double?: string, single?: string, escaped?: string) =>
      double === undefined ? (single ?? escaped ?? "") : double.replace(/\\(["\\$`])/g, "$1"),
  );
}

/** The variables of a settings file; lines that set none are left out. Of two of a name the later one counts. */
export function parseSettings(text: string): ReadonlyMap<string, string> {
  const settings = new Map<string, string>();
  for (const line of text.replace(/\\\r?\n/g, "").split("\n")) {
    const [, name, value] = /^\s*(?:export\s+)?([A-Za-z_]\w*)=(.*)$/.exec(line.trimEnd()) ?? [];
    if (name !== undefined && value !== undefined) settings.set(name, unquote(value.trim()));
  }
  return settings;
}

/** Splits a line of options into words; quotes keep a word together. */
export function splitWords(text: string): string[] {
  return Array.from(text.matchAll(/(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/gs), ([word]) => unquote(word));
}

/** Variables with options as they stand on a command line. */
const ARGUMENT_VARIABLES = ["DAEMON_ARGS", "FILTER_RPC_ARGS", "QEMU_GA_ARGS", "GA_OPTIONS", "OPTS"];

/** The words of a variable that is the value of an option, or says nothing. */
const optionOf = (name: string, value: string | undefined): string[] => (value ? [`--${name}=${value}`] : []);

/** The method and the path behind the first colon, as Debian's script takes them apart. */
function transportWords(text: string): string[] {
  const colon = text.indexOf(":");
  return colon < 0 ? [] : [...optionOf("method", text.slice(0, colon)), ...optionOf("path", text.slice(colon + 1))];
}

/**
 * The settings as words of a command line, each with the name of the variable that they come from.
 * @param hook the path that an empty FSFREEZE_HOOK_PATHNAME means
 * @param noHook the path that means none
 */
export function settingsAsWords(
  settings: ReadonlyMap<string, string>,
  { hook, noHook }: { readonly hook: string; readonly noHook?: string | undefined },
): readonly { readonly variable: string; readonly words: readonly string[] }[] {
  const blocked = settings.get("BLACKLIST_RPC") ?? "";
  const hookPath = settings.get("FSFREEZE_HOOK_PATHNAME");
  const found = [
    { variable: "BLACKLIST_RPC", words: blocked === "" ? [] : [`--block-rpcs=${blocked}`] },
    {
      variable: "FSFREEZE_HOOK_PATHNAME",
      words: hookPath === undefined || hookPath === noHook ? [] : [`--fsfreeze-hook=${hookPath || hook}`],
    },
    ...["method", "path"].map((name) => {
      const variable = `GA_${name.toUpperCase()}`;
      return { variable, words: optionOf(name, settings.get(variable)) };
    }),
    ...ARGUMENT_VARIABLES.map((variable) => ({ variable, words: splitWords(settings.get(variable) ?? "") })),
    { variable: "TRANSPORT", words: transportWords(settings.get("TRANSPORT") ?? "") },
  ];
  return found.filter(({ words }) => words.length > 0);
}
