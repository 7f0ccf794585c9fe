/** What the user asked for, from the words of the command line, the environment and the config file. */
import type { DefaultPaths, Files } from "../guest.ts";
import { SystemError } from "../guest.ts";
import { type Config, ConfigError, readConfigFile, readOptions, resolveConfig, type Surroundings } from "./config.ts";
import { type FoundOption, parseCommandLine } from "./getopt.ts";
import { ALL_OPTIONS, OPTIONS, type Option, SERVICE_OPTION } from "./options.ts";
import { parseSettings, settingsAsWords } from "./peer-settings.ts";

export type Invocation =
  | { readonly kind: "version" | "help" | "commands" }
  | { readonly kind: "run" | "dump"; readonly config: Config }
  /** What is to be done about the service, and the words with which it is to run. */
  | { readonly kind: "service"; readonly action: string; readonly args: readonly string[] };

/** Words in place of a list of commands that ask which ones there are. */
const ASKS_FOR_COMMANDS: readonly (string | undefined)[] = ["help", "?"];

/** An option that asks for something other than running; the first one wins. */
function question({ option, value }: FoundOption<Option>): "version" | "help" | "commands" | undefined {
  if (option === OPTIONS.version) return "version";
  if (option === OPTIONS.help) return "help";
  const isList = option === OPTIONS.blockRpcs || option === OPTIONS.allowRpcs;
  return isList && ASKS_FOR_COMMANDS.includes(value) ? "commands" : undefined;
}

/** The options but for the one about the service, in their longest form. */
const wordsWithoutService = (found: readonly FoundOption<Option>[]): string[] =>
  found
    .filter(({ option }) => option !== SERVICE_OPTION && option !== OPTIONS.daemonize)
    .map(({ option, value }) => `--${option.long}${value === undefined ? "" : `=${value}`}`);

/** A config file that nobody asked for may be missing. */
function readFile(files: Pick<Files, "readText" | "exists">, path: string, required: boolean): string {
  if (!required && !files.exists(path)) return "";
  try {
    return files.readText(path);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new ConfigError(`${path}: ${error.reason}`);
  }
}

/** Options that settings files may not have: how the agent is started is up to the service that reads them. */
const NOT_IN_SETTINGS: readonly Option[] = [OPTIONS.daemonize, OPTIONS.pidfile];

/** The settings of qemu-ga's packages. @throws ConfigError */
function readPeerSettings(
  files: Pick<Files, "readText" | "exists">,
  paths: DefaultPaths,
): ReturnType<typeof readOptions> {
  const hooks = { hook: paths.fsfreezeHook, noHook: paths.noFile };
  return (paths.settingsFiles ?? []).flatMap((path) =>
    settingsAsWords(parseSettings(readFile(files, path, false)), hooks).flatMap(({ variable, words }) => {
      const { found, error } = parseCommandLine(words, ALL_OPTIONS);
      if (error !== undefined) throw new ConfigError(`${path}: ${variable}: ${error}`);
      const usable = found.filter(({ option }) => !NOT_IN_SETTINGS.includes(option));
      return readOptions(usable, paths).map((given) => ({ ...given, place: `${path}: ${variable}: ${given.place}` }));
    }),
  );
}

/**
 * @param args what follows the program's name
 * @param options those that this guest has
 * @throws ConfigError, whose message is one line for the user
 */
export function readInvocation(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  files: Pick<Files, "readText" | "exists">,
  surroundings: () => Surroundings,
  options: readonly Option[] = ALL_OPTIONS,
): Invocation {
  const { found, error } = parseCommandLine(args, options);
  const asked = found.map(question).find((kind) => kind !== undefined);
  if (asked !== undefined) return { kind: asked };
  if (error !== undefined) throw new ConfigError(`${error}; --help lists the options`);
  const service = found.find(({ option }) => option === SERVICE_OPTION);
  if (service !== undefined) return { kind: "service", action: service.value ?? "", args: wordsWithoutService(found) };

  const { paths, ...others } = surroundings();
  const named = found.findLast(({ option }) => option === OPTIONS.config)?.value;
  const path = named ?? environment.QGA_CONF ?? paths.configFile;
  const text = readFile(files, path, named !== undefined);
  const settings = found.some(({ option }) => option === OPTIONS.qemuGaSettings) ? readPeerSettings(files, paths) : [];
  const given = [...readConfigFile(text, path), ...settings, ...readOptions(found, paths)];
  const config = resolveConfig(given, { paths, ...others });
  return { kind: found.some(({ option }) => option === OPTIONS.dumpConf) ? "dump" : "run", config };
}
