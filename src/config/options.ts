/** The options of the agent, each declared once: parsing, `--help`, `--dump-conf` and the manual are made from here. */
import * as v from "valibot";
import type { Config } from "./config.ts";
import type { DescribedOption } from "./help.ts";
import { keyFileBoolean } from "./keyfile.ts";

export interface Option<Value = unknown> extends DescribedOption {
  /** Its key in the group `[general]` of the config file; `formerly` and the long name are taken there too. */
  readonly key?: string;
  /** From its text to its value; a message goes on from "'text' ". */
  readonly value: v.GenericSchema<string, Value>;
  /** Its value for `--dump-conf`; undefined leaves it out. */
  readonly dump?: (config: Config) => string | boolean | undefined;
}

export const METHODS = ["virtio-serial", "isa-serial", "unix-listen", "vsock-listen", "stdio"] as const;
export const DIALECTS = ["qga", "bclinux", "ovirt", "eayun"] as const;
export type DialectName = (typeof DIALECTS)[number];
export const LOG_FORMATS = ["text", "json", "journal"] as const;

const oneOf = <const Names extends readonly string[]>(names: Names) =>
  v.pipe(v.string(), v.picklist(names, `is not one of ${names.join(", ")}`));

const text = v.pipe(
  v.string(),
  v.check((value) => !value.includes("\0"), "contains a NUL character"),
);

const flag = v.pipe(v.string(), v.transform(keyFileBoolean), v.boolean("is not a boolean (true, false, 1 or 0)"));

/**
 * Names are separated by commas, and by semicolons as other key files have it: read otherwise, `a;b` would block nothing.
 * They come out in reverse, as qemu-ga keeps and dumps them.
 */
const names = v.pipe(
  v.string(),
  v.transform((list) =>
    list === ""
      ? []
      : list
          .split(/[,;]/)
          .map((name) => name.trim())
          .reverse(),
  ),
);

const LONGEST_TIMEOUT = 24 * 60 * 60;
const seconds = v.pipe(
  v.string(),
  v.regex(/^\d{1,9}$/, "is not a number of seconds"),
  v.transform(Number),
  v.maxValue(LONGEST_TIMEOUT, `is more than a day (${LONGEST_TIMEOUT} seconds)`),
);

const mebibytes = v.pipe(
  v.string(),
  v.regex(/^\d{1,4}$/, "is not a number of MiB"),
  v.transform(Number),
  v.minValue(1, "is less than 1 MiB"),
  v.maxValue(1024, "is more than 1024 MiB"),
);

/** Bounds of what a host has run by execute_command and execute_script. */
export const DEFAULT_COMMAND = { seconds: 60, mebibytes: 16 } as const;

/** In the order that `--dump-conf` has. */
export const OPTIONS = {
  daemonize: {
    long: "daemonize",
    short: "d",
    key: "daemon",
    argument: "none",
    value: flag,
    help: "run in the background",
    dump: (config) => config.daemonize,
  },
  method: {
    long: "method",
    short: "m",
    key: "method",
    argument: "required",
    placeholder: "METHOD",
    value: oneOf(METHODS),
    help: "how the host reaches the agent: virtio-serial (the default), isa-serial, unix-listen, vsock-listen or stdio",
    dump: (config) => config.method,
  },
  path: {
    long: "path",
    short: "p",
    key: "path",
    argument: "required",
    placeholder: "PATH",
    value: text,
    help: "the device or socket; <cid>:<port> for vsock-listen. Default: {virtioSerial} for virtio-serial, {isaSerial} for isa-serial",
    dump: (config) => config.path,
  },
  logfile: {
    long: "logfile",
    short: "l",
    key: "logfile",
    argument: "required",
    placeholder: "PATH",
    value: text,
    help: "where the log is written; standard error when not given",
    dump: (config) => config.logfile,
  },
  pidfile: {
    long: "pidfile",
    short: "f",
    key: "pidfile",
    argument: "required",
    placeholder: "PATH",
    value: text,
    help: "the file that holds the process id of an agent in the background. Default: {pidfile}",
    dump: (config) => config.pidfile,
  },
  fsfreezeHook: {
    long: "fsfreeze-hook",
    short: "F",
    key: "fsfreeze-hook",
    argument: "optional",
    placeholder: "PATH",
    value: text,
    help: "run a script with 'freeze' before filesystems are frozen and with 'thaw' after. The path must be attached (-FPATH); without one it is {fsfreezeHook}",
    dump: (config) => config.fsfreezeHook,
  },
  statedir: {
    long: "statedir",
    short: "t",
    key: "statedir",
    argument: "required",
    placeholder: "PATH",
    value: text,
    help: "the directory that keeps the agent's state (an absolute path). Default: {statedir}",
    dump: (config) => config.statedir,
  },
  verbose: {
    long: "verbose",
    short: "v",
    key: "verbose",
    argument: "none",
    value: flag,
    help: "log everything, not only errors",
    dump: (config) => config.verbose,
  },
  retryPath: {
    long: "retry-path",
    short: "r",
    key: "retry-path",
    argument: "none",
    value: flag,
    help: "wait for a device that is not there yet, or that went away, and open it when it comes",
    dump: (config) => config.retryPath,
  },
  blockRpcs: {
    long: "block-rpcs",
    short: "b",
    key: "block-rpcs",
    formerly: ["blacklist"],
    argument: "required",
    placeholder: "LIST",
    value: names,
    help: "commands that are refused, separated by commas; 'help' lists all commands. Given again, it adds to the list",
    dump: (config) => config.blockRpcs.join(","),
  },
  allowRpcs: {
    long: "allow-rpcs",
    short: "a",
    key: "allow-rpcs",
    argument: "required",
    placeholder: "LIST",
    value: names,
    help: "the only commands that are not refused, separated by commas; --block-rpcs wins over it",
    dump: (config) => config.allowRpcs.join(","),
  },
  enableRpcs: {
    long: "enable-rpcs",
    key: "enable-rpcs",
    argument: "required",
    extension: true,
    placeholder: "LIST",
    value: names,
    help: "calls to switch on that are off by default, separated by commas: execute_command, execute_script, guest-user-check, change-hostname, change-password, login",
    dump: (config) => (config.enableRpcs.length > 0 ? config.enableRpcs.join(",") : undefined),
  },
  commandTimeout: {
    long: "command-timeout",
    key: "command-timeout",
    argument: "required",
    extension: true,
    placeholder: "SECONDS",
    value: seconds,
    help: "end what execute_command and execute_script have started after so many seconds. Default: 60",
    dump: (config) => (config.commandTimeout === DEFAULT_COMMAND.seconds ? undefined : `${config.commandTimeout}`),
  },
  commandOutput: {
    long: "command-output",
    key: "command-output",
    argument: "required",
    extension: true,
    placeholder: "MIB",
    value: mebibytes,
    help: "take so many MiB of what they print, and drop the rest. Default: 16",
    dump: (config) => (config.commandOutput === DEFAULT_COMMAND.mebibytes ? undefined : `${config.commandOutput}`),
  },
  fsfreezeTimeout: {
    long: "fsfreeze-timeout",
    key: "fsfreeze-timeout",
    argument: "required",
    extension: true,
    placeholder: "SECONDS",
    value: seconds,
    help: "thaw by itself when no host has done it after so many seconds; 0, the default, means never. The hook may take as long, else 10 minutes",
    dump: (config) => config.fsfreezeTimeout?.toString(),
  },
  dialect: {
    long: "dialect",
    key: "dialect",
    argument: "required",
    extension: true,
    placeholder: "NAME",
    value: oneOf(DIALECTS),
    help: "what is spoken: qga (the default), bclinux for qga with the commands of BCLinux, ovirt or eayun",
    dump: (config) => (config.dialect === "qga" ? undefined : config.dialect),
  },
  logFormat: {
    long: "log-format",
    key: "log-format",
    argument: "required",
    extension: true,
    placeholder: "NAME",
    value: oneOf(LOG_FORMATS),
    help: "log each command with its duration and outcome, as text, json, or journal for a service of systemd",
    dump: (config) => config.logFormat,
  },
  config: {
    long: "config",
    short: "c",
    argument: "required",
    placeholder: "PATH",
    value: text,
    help: "the config file. Default: the one that the environment variable QGA_CONF names, else {configFile}",
  },
  qemuGaSettings: {
    long: "qemu-ga-settings",
    argument: "none",
    extension: true,
    value: flag,
    help: "take the settings of qemu-ga's packages too, as the services do: {settingsFiles}",
  },
  dumpConf: {
    long: "dump-conf",
    short: "D",
    argument: "none",
    value: flag,
    help: "print all settings in the form of the config file, and exit",
  },
  version: {
    long: "version",
    short: "V",
    argument: "none",
    value: flag,
    help: "print the version, and exit",
  },
  help: {
    long: "help",
    short: "h",
    argument: "none",
    value: flag,
    help: "print this help, and exit",
  },
} as const satisfies Readonly<Record<string, Option>>;

export const ALL_OPTIONS: readonly Option[] = Object.values(OPTIONS);

/** Only where the system has services of this kind; no setting of a config file. */
export const SERVICE_OPTION = {
  long: "service",
  short: "s",
  argument: "required",
  placeholder: "ACTION",
  value: text,
  help: "make the agent a service of the system with the other options given, or undo it: {serviceActions}",
} as const satisfies Option;

/** The options of a guest. */
export const optionsFor = (hasServices: boolean): readonly Option[] =>
  hasServices ? [...ALL_OPTIONS, SERVICE_OPTION] : ALL_OPTIONS;
