/** Command lines as getopt_long(3) reads them. */

export interface OptionForm {
  /** The name after `--`. */
  readonly long: string;
  /** The letter after `-`. */
  readonly short?: string;
  /** Names after `--` that mean the same. */
  readonly formerly?: readonly string[];
  /** An optional argument must be attached: `-FPATH`, `--fsfreeze-hook=PATH`. */
  readonly argument: "none" | "required" | "optional";
  /** An option that the original lacks: it must not make an abbreviation ambiguous that works there. */
  readonly extension?: true;
}

export interface FoundOption<O extends OptionForm> {
  readonly option: O;
  readonly value: string | undefined;
  /** As it was typed, without the value: `-m`, `--meth`. */
  readonly spelling: string;
}

export interface CommandLine<O extends OptionForm> {
  /** In the order of the command line. */
  readonly found: readonly FoundOption<O>[];
  /** What is no option, wherever it stood. */
  readonly operands: readonly string[];
  /** What is wrong with the first wrong option; nothing after it was read. */
  readonly error?: string;
}

class UsageError extends Error {}

function findLong<O extends OptionForm>(options: readonly O[], name: string, typed: string): O {
  const named = options.flatMap((option) =>
    [option.long, ...(option.formerly ?? [])].map((long) => ({ long, option })),
  );
  const exact = named.find(({ long }) => long === name);
  if (exact !== undefined) return exact.option;
  const meant = named.filter(({ long }) => long.startsWith(name));
  const original = meant.filter(({ option }) => option.extension === undefined);
  const candidates = original.length > 0 ? original : meant;
  const [first] = candidates;
  if (first === undefined) throw new UsageError(`unrecognized option '${typed}'`);
  if (candidates.some(({ option }) => option !== first.option)) {
    const possibilities = candidates.map(({ long }) => ` '--${long}'`).join("");
    throw new UsageError(`option '${typed}' is ambiguous; possibilities:${possibilities}`);
  }
  return first.option;
}

/**
 * Reads options; `--` ends them. A lone `-` is an operand.
 * @param where `anywhere`, or only before the first operand: what follows it then are operands too
 */
export function parseCommandLine<O extends OptionForm>(
  args: readonly string[],
  options: readonly O[],
  where: "anywhere" | "leading" = "anywhere",
): CommandLine<O> {
  const found: FoundOption<O>[] = [];
  const operands: string[] = [];
  const rest = [...args];

  const readLong = (typed: string): void => {
    const equals = typed.indexOf("=");
    const spelling = equals < 0 ? typed : typed.slice(0, equals);
    const option = findLong(options, spelling.slice(2), typed);
    let value = equals < 0 ? undefined : typed.slice(equals + 1);
    if (option.argument === "none" && value !== undefined) {
      throw new UsageError(`option '--${option.long}' doesn't allow an argument`);
    }
    if (option.argument === "required" && value === undefined) {
      value = rest.shift();
      if (value === undefined) throw new UsageError(`option '--${option.long}' requires an argument`);
    }
    found.push({ option, value, spelling });
  };

  const readShorts = (bundle: string): void => {
    for (let at = 0; at < bundle.length; at++) {
      const letter = bundle[at];
      const option = options.find(({ short }) => short === letter);
      if (option === undefined) throw new UsageError(`invalid option -- '${letter}'`);
      const spelling = `-${letter}`;
      const attached = bundle.slice(at + 1);
      if (option.argument === "none") {
        found.push({ option, value: undefined, spelling });
        continue;
      }
      const value = attached === "" && option.argument === "required" ? rest.shift() : attached;
      if (value === undefined) throw new UsageError(`option requires an argument -- '${letter}'`);
      found.push({ option, value: option.argument === "optional" && value === "" ? undefined : value, spelling });
      return;
    }
  };

  try {
    for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
      if (arg === "--") operands.push(...rest.splice(0));
      else if (arg.startsWith("--")) readLong(arg);
      else if (arg.startsWith("-") && arg !== "-") readShorts(arg.slice(1));
      else operands.push(arg, ...(where === "leading" ? rest.splice(0) : []));
    }
  } catch (error) {
    if (error instanceof UsageError) return { found, operands, error: error.message };
    throw error;
  }
  return { found, operands };
}
