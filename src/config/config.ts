/** What the agent was told to do: flags over the config file over defaults. */
import * as v from "valibot";
import type { DefaultPaths, Ports } from "../guest.ts";
import type { FoundOption } from "./getopt.ts";
import {
  type KeyFileEntry,
  KeyFileError,
  KeyFileValueError,
  keyFileString,
  parseKeyFile,
  printKeyFile,
} from "./keyfile.ts";
import { portPathOf } from "./known-ports.ts";
import {
  ALL_OPTIONS,
  DEFAULT_COMMAND,
  type DialectName,
  type LOG_FORMATS,
  type METHODS,
  OPTIONS,
  type Option,
} from "./options.ts";

export type Method = (typeof METHODS)[number];

export interface Config {
  readonly method: Method;
  /** The device or socket; undefined only for a socket that the service manager handed over. */
  readonly path?: string;
  readonly logfile?: string;
  /** When given, the log has a line for each request. */
  readonly logFormat?: (typeof LOG_FORMATS)[number];
  readonly pidfile: string;
  /** The hook script; undefined when hooks are off. */
  readonly fsfreezeHook?: string;
  readonly statedir: string;
  readonly verbose: boolean;
  readonly daemonize: boolean;
  readonly retryPath: boolean;
  /** Empty when nothing is blocked. */
  readonly blockRpcs: readonly string[];
  /** Empty when everything is allowed. */
  readonly allowRpcs: readonly string[];
  /** Seconds after which a freeze ends by itself; undefined means never. */
  readonly fsfreezeTimeout?: number;
  readonly dialect: DialectName;
  /** Calls switched on that are off by default. */
  readonly enableRpcs: readonly string[];
  /** Seconds that a command of an EayunStack host may take. */
  readonly commandTimeout: number;
  /** MiB of what it prints that are kept. */
  readonly commandOutput: number;
  /** The ways to hosts that were named; none when nothing was, and every known port is served. */
  readonly channels: readonly ChannelConfig[];
}

/** One way to a host. */
export interface ChannelConfig {
  /** Of its section; undefined for the one that flags and `[general]` are about. */
  readonly name?: string;
  readonly method: Method;
  /** Undefined only for a socket that the service manager handed over. */
  readonly path?: string;
  readonly dialect: DialectName;
}

/** A setting that cannot be used; the message names the place and the reason. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

/** A setting as text, and where it stands. */
interface Given {
  /** The section `[channel NAME]` that it belongs to; undefined for the agent itself. */
  readonly channel?: string;
  readonly option: Option;
  readonly text: string;
  readonly place: string;
}

/** What the configuration depends on beside flags and files. */
export interface Surroundings {
  readonly paths: DefaultPaths;
  readonly ports: Ports["defaults"];
  /** The method of a socket that the service manager handed over. */
  readonly activated: Method | undefined;
}

/** The settings of the agent stand in this group. */
const GROUP = "general";
/** Those of one more way to a host. */
const CHANNEL_GROUP = /^channel (.+)$/;
const CHANNEL_OPTIONS: readonly Option[] = [OPTIONS.method, OPTIONS.path, OPTIONS.dialect];
const FLAG_GIVEN = "true";

const keysOf = (option: Option): readonly (string | undefined)[] =>
  option.key === undefined ? [] : [option.key, option.long, ...(option.formerly ?? [])];

const optionOfKey = (key: string): Option | undefined => ALL_OPTIONS.find((option) => keysOf(option).includes(key));

function readEntry(entry: KeyFileEntry, path: string): Given {
  const place = `${path}:${entry.line}: [${entry.group}] ${entry.key}`;
  const option = optionOfKey(entry.key);
  const channel = CHANNEL_GROUP.exec(entry.group)?.[1];
  if (option === undefined || (channel !== undefined && !CHANNEL_OPTIONS.includes(option))) {
    throw new ConfigError(`${place}: there is no such key`);
  }
  const owner = channel === undefined ? {} : { channel };
  // What reads a file as UTF-8 leaves this character where it was not.
  if (entry.raw.includes("\ufffd")) throw new ConfigError(`${place}: the value is not UTF-8`);
  try {
    return { ...owner, option, text: option.argument === "none" ? entry.raw : keyFileString(entry.raw), place };
  } catch (error) {
    if (!(error instanceof KeyFileValueError)) throw error;
    throw new ConfigError(`${place}: ${error.message}`);
  }
}

/**
 * The settings of a config file. Groups other than `[general]` and `[channel NAME]` are not the agent's.
 * @param path for the messages
 * @throws ConfigError
 */
export function readConfigFile(text: string, path: string): Given[] {
  let entries: KeyFileEntry[];
  try {
    entries = parseKeyFile(text);
  } catch (error) {
    if (!(error instanceof KeyFileError)) throw error;
    throw new ConfigError(`${path}:${error.line}: ${error.message}`);
  }
  return entries
    .filter(({ group }) => group === GROUP || CHANNEL_GROUP.test(group))
    .map((entry) => readEntry(entry, path));
}

/** The settings of the command line. */
export function readOptions(found: readonly FoundOption<Option>[], paths: DefaultPaths): Given[] {
  return found
    .filter(({ option }) => option.key !== undefined)
    .map(({ option, value, spelling }) => {
      const whenBare = option === OPTIONS.fsfreezeHook ? paths.fsfreezeHook : FLAG_GIVEN;
      return { option, text: value ?? whenBare, place: `option ${spelling}` };
    });
}

/** Makes the configuration; of two settings the later one counts, lists add up. @throws ConfigError */
export function resolveConfig(given: readonly Given[], { paths, ports, activated }: Surroundings): Config {
  const all = <Value>(option: Option<Value>, channel?: string): Value[] =>
    given
      .filter((setting) => setting.option === option && setting.channel === channel)
      .map(({ text, place }) => {
        const { success, output, issues } = v.safeParse(option.value, text);
        if (!success) throw new ConfigError(`${place}: '${text}' ${issues[0].message}`);
        return output;
      });
  const last = <Value>(option: Option<Value>, channel?: string): Value | undefined => all(option, channel).at(-1);
  const method = activated ?? last(OPTIONS.method) ?? "virtio-serial";
  const dialect = last(OPTIONS.dialect) ?? "qga";
  const pathOf = (way: Method, spoken: DialectName, group: string, channel?: string): string => {
    const usual: Partial<Record<Method, string>> = {
      "virtio-serial": portPathOf(spoken, ports.virtioSerial),
      "isa-serial": ports.isaSerial,
      stdio: "-",
    };
    const found = last(OPTIONS.path, channel) ?? usual[way];
    if (found !== undefined) return found;
    throw new ConfigError(`method ${way} needs a path: option -p, or the key path in [${group}]`);
  };
  const path = activated === undefined ? pathOf(method, dialect, GROUP) : undefined;
  const names = new Set(given.flatMap(({ channel }) => channel ?? []));
  const sections = [...names].map((name): ChannelConfig => {
    const way = last(OPTIONS.method, name) ?? "virtio-serial";
    const spoken = last(OPTIONS.dialect, name) ?? "qga";
    return { name, method: way, dialect: spoken, path: pathOf(way, spoken, `channel ${name}`, name) };
  });
  const named =
    activated !== undefined ||
    method !== "virtio-serial" ||
    [OPTIONS.path, OPTIONS.dialect].some((option) => last<unknown>(option) !== undefined);
  const own = { method, dialect, ...(path === undefined ? {} : { path }) };
  const logfile = last(OPTIONS.logfile);
  const logFormat = last(OPTIONS.logFormat);
  const fsfreezeHook = last(OPTIONS.fsfreezeHook);
  const fsfreezeTimeout = last(OPTIONS.fsfreezeTimeout) ?? 0;
  return {
    method,
    ...(path === undefined ? {} : { path }),
    ...(logfile === undefined ? {} : { logfile }),
    ...(logFormat === undefined ? {} : { logFormat }),
    pidfile: last(OPTIONS.pidfile) ?? paths.pidfile,
    ...(fsfreezeHook === undefined ? {} : { fsfreezeHook }),
    statedir: last(OPTIONS.statedir) ?? paths.statedir,
    verbose: last(OPTIONS.verbose) ?? false,
    daemonize: last(OPTIONS.daemonize) ?? false,
    retryPath: last(OPTIONS.retryPath) ?? false,
    blockRpcs: all(OPTIONS.blockRpcs).flat(),
    allowRpcs: all(OPTIONS.allowRpcs).flat(),
    ...(fsfreezeTimeout === 0 ? {} : { fsfreezeTimeout }),
    dialect,
    enableRpcs: all(OPTIONS.enableRpcs).flat(),
    commandTimeout: last(OPTIONS.commandTimeout) ?? DEFAULT_COMMAND.seconds,
    commandOutput: last(OPTIONS.commandOutput) ?? DEFAULT_COMMAND.mebibytes,
    channels: named ? [own, ...sections] : sections,
  };
}

/** The configuration as a config file. */
export function dumpConfig(config: Config): string {
  const entries = ALL_OPTIONS.flatMap(({ key, dump }): (readonly [string, string | boolean])[] => {
    const value = dump?.(config);
    return key === undefined || value === undefined ? [] : [[key, value]];
  });
  const sections = config.channels.flatMap(({ name, method, path, dialect }) => {
    if (name === undefined) return [];
    const settings = { method, path, dialect };
    const given = Object.entries(settings).flatMap(([key, value]): [string, string][] => (value ? [[key, value]] : []));
    return [printKeyFile(`channel ${name}`, given)];
  });
  return [printKeyFile(GROUP, entries), ...sections].join("\n");
}
