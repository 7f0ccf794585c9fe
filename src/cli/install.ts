/** `inguest install` and `inguest uninstall`: the agent as a service of this system. */
import { type Config, ConfigError } from "../config/config.ts";
import type { DescribedOption } from "../config/help.ts";
import { readInvocation } from "../config/invocation.ts";
import { besidePort, KNOWN_PORTS } from "../config/known-ports.ts";
import { OPTIONS } from "../config/options.ts";
import { sayUninstalled } from "../dialect/ovirt/uninstalled.ts";
import { AttemptsError, type Guest, type SystemChange } from "../guest.ts";
import { print } from "./print.ts";
import { EXIT, type Given, runSystemCommand, type SystemCommand, UsageError } from "./system-work.ts";

const DRY_RUN = {
  long: "dry-run",
  short: "n",
  argument: "none",
  help: "show each step, and do none",
} as const satisfies DescribedOption;

const ROOT = {
  long: "root",
  argument: "required",
  placeholder: "DIRECTORY",
  help: "the root of another system, an image for instance; nothing is started in it",
} as const satisfies DescribedOption;

const INSTALL_OPTIONS = {
  dryRun: DRY_RUN,
  replace: {
    long: "replace",
    argument: "none",
    help: "stop qemu-ga and ovirt-guest-agent, and keep them from being started; uninstall undoes that",
  },
  init: {
    long: "init",
    argument: "required",
    placeholder: "NAME",
    help: "what runs services: systemd, openrc, runit, sysv or busybox. Found out when not given",
  },
  noStart: { long: "no-start", argument: "none", help: "do not start the agent now" },
  root: ROOT,
} as const satisfies Readonly<Record<string, DescribedOption>>;

const UNINSTALL_OPTIONS = {
  dryRun: DRY_RUN,
  purge: { long: "purge", argument: "none", help: "remove settings too that were changed since" },
  root: ROOT,
} as const satisfies Readonly<Record<string, DescribedOption>>;

type InstallOption = (typeof INSTALL_OPTIONS)[keyof typeof INSTALL_OPTIONS];
type UninstallOption = (typeof UNINSTALL_OPTIONS)[keyof typeof UNINSTALL_OPTIONS];

/** @throws UsageError when a relative path was given */
function readRoot(text: string | undefined): string {
  if (text === undefined) return "";
  if (!text.startsWith("/")) throw new UsageError(`option --root: '${text}' does not begin with /`);
  return text.replace(/\/+$/, "");
}

/** Does the steps, or shows them. */
async function follow(steps: readonly SystemChange[], dryRun: boolean): Promise<void> {
  for (const { text, needed, apply } of steps) {
    if (needed && !dryRun) await apply();
    const state = needed ? (dryRun ? "to do" : "done") : "as is";
    print(`${state.padEnd(6)} ${text}\n`);
  }
}

const waitsForPort = ({ method }: Pick<Config, "method">): boolean => method === "virtio-serial";

/** Whether the settings that the service will have name ways to hosts that no virtio port announces. */
function hasOtherWays(guest: Guest, root: string): boolean {
  const { paths, ports, files } = guest;
  const below = {
    readText: (path: string) => files.readText(`${root}${path}`),
    exists: (path: string) => files.exists(`${root}${path}`),
  };
  try {
    const words = [`--${OPTIONS.qemuGaSettings.long}`];
    const surroundings = { paths, ports: ports.defaults, activated: undefined };
    const invocation = readInvocation(words, {}, below, () => surroundings);
    return invocation.kind === "run" && invocation.config.channels.some((channel) => !waitsForPort(channel));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new AttemptsError([`these settings are wrong, and the agent would not start: ${error.message}`]);
  }
}

/** Windows has a service of its own kind. */
function doServiceAction({ services }: Guest, action: string, dryRun: boolean): number {
  const perform = services?.actions[action];
  if (perform === undefined) throw new AttemptsError([]);
  print(dryRun ? `to do  ${action} the service\n` : `${perform([])}\n`);
  return EXIT.success;
}

async function performInstall(guest: Guest, { has, value }: Given<InstallOption>): Promise<number> {
  const { installer } = guest;
  const dryRun = has(INSTALL_OPTIONS.dryRun);
  if (installer === undefined) return doServiceAction(guest, "install", dryRun);
  const root = readRoot(value(ROOT));
  const manager = value(INSTALL_OPTIONS.init);
  const replace = has(INSTALL_OPTIONS.replace);
  const rivals = installer.rivals({ root, manager });
  if (rivals.length > 0 && !replace) {
    throw new AttemptsError([...rivals, "two agents cannot share a port; --replace stops and disables the other one"]);
  }
  const withoutPort = hasOtherWays(guest, root);
  const steps = await installer.install({
    root,
    manager,
    replace,
    withoutPort,
    later: has(INSTALL_OPTIONS.noStart),
  });
  await follow(steps, dryRun);
  return EXIT.success;
}

/** An oVirt host wants to know that the agent does not come back. */
function tellHosts(guest: Guest): void {
  for (const { name, dialect } of KNOWN_PORTS) {
    const path = besidePort(guest.ports.defaults.virtioSerial, name);
    if (dialect === "ovirt" && guest.files.exists(path) && sayUninstalled(guest, path)) return;
  }
}

async function performUninstall(guest: Guest, { has, value }: Given<UninstallOption>): Promise<number> {
  const { installer } = guest;
  const dryRun = has(UNINSTALL_OPTIONS.dryRun);
  if (installer === undefined) return doServiceAction(guest, "uninstall", dryRun);
  const root = readRoot(value(ROOT));
  await follow(await installer.uninstall({ root, purge: has(UNINSTALL_OPTIONS.purge) }), dryRun);
  if (root === "" && !dryRun) tellHosts(guest);
  return EXIT.success;
}

export const INSTALL: SystemCommand<InstallOption> = {
  name: "install",
  about: `Usage: inguest install [OPTION...]
Makes the agent a service of this system: copies it to its place, adds the unit and
default settings, and starts it. Done again, it only changes what is different.
`,
  options: Object.values(INSTALL_OPTIONS),
  perform: performInstall,
};

export const UNINSTALL: SystemCommand<UninstallOption> = {
  name: "uninstall",
  about: `Usage: inguest uninstall [OPTION...]
Takes back all that 'inguest install' did. Settings that were changed since stay.
`,
  options: Object.values(UNINSTALL_OPTIONS),
  perform: performUninstall,
};

/** @returns the exit code: 0 done, 1 refused or failed, 2 wrong command line */
export const install = (guest: Guest, args: readonly string[]): Promise<number> =>
  runSystemCommand(guest, INSTALL, args);

/** @returns as `install` */
export const uninstall = (guest: Guest, args: readonly string[]): Promise<number> =>
  runSystemCommand(guest, UNINSTALL, args);
