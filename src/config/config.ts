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
import { ALL_OPTIONS, type DIALECTS, type LOG_FORMATS, type METHODS, OPTIONS, type Option } from "./options.ts";

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
  readonly dialect: (typeof DIALECTS)[number];
}

/** A setting that cannot be used; the message names the place and the reason. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

/** A setting as text, and where it stands. */
interface Given {
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

/** Every setting stands in this group. */
const GROUP = "general";
const FLAG_GIVEN = "true";

const keysOf = (option: Option): readonly (string | undefined)[] =>
  option.key === undefined ? [] : [option.key, option.long, ...(option.formerly ?? [])];

const optionOfKey = (key: string): Option | undefined => ALL_OPTIONS.find((option) => keysOf(option).includes(key));

function readEntry(entry: KeyFileEntry, path: string): Given {
  const place = `${path}:${entry.line}: [${entry.group}] ${entry.key}`;
  const option = optionOfKey(entry.key);
  if (option === undefined) throw new ConfigError(`${place}: there is no such key`);
  // What reads a file as UTF-8 leaves this character where it was not.
  if (entry.raw.includes("\ufffd")) throw new ConfigError(`${place}: the value is not UTF-8`);
  try {
    return { option, text: option.argument === "none" ? entry.raw : keyFileString(entry.raw), place };
  } catch (error) {
    if (!(error instanceof KeyFileValueError)) throw error;
    throw new ConfigError(`${place}: ${error.message}`);
  }
}

/**
 * The settings of a config file. Groups other than `[general]` are not the agent's.
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
  return entries.filter(({ group }) => group === GROUP).map((entry) => readEntry(entry, path));
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
  const all = <Value>(option: Option<Value>): Value[] =>
    given
      .filter((setting) => setting.option === option)
      .map(({ text, place }) => {
        const { success, output, issues } = v.safeParse(option.value, text);
        if (!success) throw new ConfigError(`${place}: '${text}' ${issues[0].message}`);
        return output;
      });
  const last = <Value>(option: Option<Value>): Value | undefined => all(option).at(-1);
  const method = activated ?? last(OPTIONS.method) ?? "virtio-serial";
  const usual: Partial<Record<Method, string>> = { "virtio-serial": ports.virtioSerial, "isa-serial": ports.isaSerial };
  const path = activated === undefined ? (last(OPTIONS.path) ?? usual[method]) : undefined;
  if (path === undefined && activated === undefined) {
    throw new ConfigError(`method ${method} needs a path: option -p, or the key path in [${GROUP}]`);
  }
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
    dialect: last(OPTIONS.dialect) ?? "qga",
  };
}

/** The configuration as a config file. */
export function dumpConfig(config: Config): string {
  const entries = ALL_OPTIONS.flatMap(({ key, dump }): (readonly [string, string | boolean])[] => {
    const value = dump?.(config);
    return key === undefined || value === undefined ? [] : [[key, value]];
  });
  return printKeyFile(GROUP, entries);
}
