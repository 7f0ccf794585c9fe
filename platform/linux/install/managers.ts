/** What can run the agent as a service: for each, the files that it wants and the programs that it is told with. */
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { basename, dirname } from "node:path";
import busyboxDefaults from "../../../packaging/busybox/default.inittab" with { type: "text" };
import busyboxLine from "../../../packaging/busybox/inguest.inittab" with { type: "text" };
import openrcScript from "../../../packaging/openrc/inguest.openrc" with { type: "text" };
import runitScript from "../../../packaging/runit/inguest.runit" with { type: "text" };
import systemdUnit from "../../../packaging/systemd/inguest.service" with { type: "text" };
import sysvScript from "../../../packaging/sysv/inguest.sysv" with { type: "text" };
import udevRules from "../../../packaging/udev/60-inguest.rules" with { type: "text" };
import { exists } from "../files.ts";
import type { Artefact } from "./artefact.ts";

/** The path that the files of packaging/ have in them. */
const PACKAGED_PROGRAM = "/usr/bin/inguest";

export const SERVICE = "inguest";
const SCRIPT_MODE = 0o755;
const TEXT_MODE = 0o644;

/** A program to run, a signal to the init process, or the end of the installed agent's processes. */
export type Action =
  /** With `optional` it does not matter whether the program is there and has something to do. */
  | { readonly argv: readonly string[]; readonly optional?: true }
  | { readonly signalInit: "SIGHUP" }
  | { readonly endProgram: true };

/** Another agent's service, as this manager has it. */
export interface RivalService {
  readonly name: string;
  /** Keeps it from being started. */
  readonly disabling: readonly Artefact[];
}

export interface Target {
  readonly root: string;
  /** Where the agent is put. */
  readonly program: string;
  /** Start it at boot, not when a port appears. */
  readonly withoutPort: boolean;
}

export interface ServiceManager {
  /** Whether it is the one of this system. */
  readonly isUsed: (root: string) => boolean;
  /** Whether it runs now, if this is not another system's root. */
  readonly isRunning: () => boolean;
  /** Whether the agent is a service of it, by whatever means. */
  readonly hasService: (root: string) => boolean;
  /** What a person types to start the service, and to see how it is. */
  readonly advice: { readonly start: string; readonly look: string };
  readonly artefacts: (target: Target) => readonly Artefact[];
  /** Those services of the names that are installed and would be started. */
  readonly rivals: (root: string, names: readonly string[]) => readonly RivalService[];
  /** Makes it see what has changed. */
  readonly reload: readonly Action[];
  /** Nothing where the manager starts by itself what it is given. */
  readonly start?: (service: string) => Action | undefined;
  /** In place of `start` when an older agent runs. */
  readonly restart: (service: string) => Action;
  readonly stop?: (service: string) => Action;
  /** Where a service does not end before its files have gone. */
  readonly forget?: readonly Action[];
  /** Where a link is by now that others may have renamed. */
  readonly placeNow?: (root: string, path: string) => string;
}

const namesIn = (directory: string): string[] => {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
};

const linkTarget = (path: string): string | undefined => {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
};

const textOf = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};

/** In a chroot the first process is another system's. */
function isOwnInit(): boolean {
  try {
    const [own, first] = ["/", "/proc/1/root/"].map((path) => statSync(path));
    return own?.dev === first?.dev && own?.ino === first?.ino;
  } catch {
    return false;
  }
}

/** The name of the init process; what an initramfs starts as /init has the name of its file. */
const initName = (): string => (isOwnInit() ? textOf("/proc/1/comm").trim() : "");

/** What the init program of a system that does not run leads to. */
function initProgram(root: string): string {
  const links = ["/sbin/init", "/usr/sbin/init", "/init", "/linuxrc"].map((path) => linkTarget(`${root}${path}`));
  return (
    links
      .find((target) => target !== undefined)
      ?.split("/")
      .at(-1) ?? ""
  );
}

const script = (path: string, text: string, { program }: Target): Artefact => ({
  kind: "file",
  path,
  content: Buffer.from(text.replaceAll(PACKAGED_PROGRAM, program)),
  mode: SCRIPT_MODE,
});

const plainFile = (path: string, text: string, { program }: Target): Artefact => ({
  kind: "file",
  path,
  content: Buffer.from(text.replaceAll(PACKAGED_PROGRAM, program)),
  mode: TEXT_MODE,
});

const withoutLink = (root: string, path: string): Artefact[] => {
  const target = linkTarget(`${root}${path}`);
  return target === undefined ? [] : [{ kind: "without-link", path, target }];
};

const UNIT_DIRECTORIES = ["/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"];
const UNIT_DIRECTORIES_BEFORE_USR_MERGE = [...UNIT_DIRECTORIES, "/lib/systemd/system"];
const MASK = "/dev/null";

const systemctl = (...words: readonly string[]): Action => ({ argv: ["systemctl", ...words] });

const systemd: ServiceManager = {
  isUsed: (root) =>
    initProgram(root) === "systemd" ||
    (root === "" && isOwnInit() && (exists("/run/systemd/system") || initName() === "systemd")),
  isRunning: () => exists("/run/systemd/system"),
  hasService: (root) =>
    UNIT_DIRECTORIES_BEFORE_USR_MERGE.some((directory) => exists(`${root}${directory}/${SERVICE}.service`)),
  advice: {
    start: `systemctl start ${SERVICE}`,
    look: `systemctl status ${SERVICE}; journalctl -u ${SERVICE}`,
  },
  artefacts: (target) => [
    plainFile(`/etc/systemd/system/${SERVICE}.service`, systemdUnit, target),
    plainFile("/etc/udev/rules.d/60-inguest.rules", udevRules, target),
    ...(target.withoutPort
      ? [
          {
            kind: "link" as const,
            path: `/etc/systemd/system/multi-user.target.wants/${SERVICE}.service`,
            target: `/etc/systemd/system/${SERVICE}.service`,
          },
        ]
      : []),
  ],
  rivals: (root, names) =>
    names
      .map((name) => `${name}.service`)
      .filter((unit) => {
        const isInstalled = UNIT_DIRECTORIES_BEFORE_USR_MERGE.some((directory) =>
          exists(`${root}${directory}/${unit}`),
        );
        return isInstalled && linkTarget(`${root}/etc/systemd/system/${unit}`) !== MASK;
      })
      .map((unit) => ({
        name: unit,
        disabling: [{ kind: "link", path: `/etc/systemd/system/${unit}`, target: MASK }],
      })),
  reload: [systemctl("daemon-reload"), { argv: ["udevadm", "control", "--reload"], optional: true }],
  start: (service) => systemctl("start", service),
  restart: (service) => systemctl("restart", service),
  stop: (service) => systemctl("stop", service),
};

const INIT_SCRIPT = `/etc/init.d/${SERVICE}`;
const hasInitScript = (root: string): boolean => exists(`${root}${INIT_SCRIPT}`);

const OPENRC_LEVELS = "/etc/runlevels";

const openrc: ServiceManager = {
  isUsed: (root) => exists(`${root}/sbin/openrc-run`) || exists(`${root}/usr/sbin/openrc-run`),
  isRunning: () => exists("/run/openrc"),
  hasService: hasInitScript,
  advice: { start: `rc-service ${SERVICE} start`, look: `rc-service ${SERVICE} status` },
  artefacts: (target) => [
    script(INIT_SCRIPT, openrcScript, target),
    { kind: "link", path: `${OPENRC_LEVELS}/default/${SERVICE}`, target: INIT_SCRIPT },
  ],
  rivals: (root, names) =>
    names.flatMap((name) => {
      const disabling = namesIn(`${root}${OPENRC_LEVELS}`).flatMap((level) =>
        withoutLink(root, `${OPENRC_LEVELS}/${level}/${name}`),
      );
      return disabling.length === 0 ? [] : { name, disabling };
    }),
  reload: [],
  start: (service) => ({ argv: ["rc-service", service, "start"] }),
  restart: (service) => ({ argv: ["rc-service", service, "restart"] }),
  stop: (service) => ({ argv: ["rc-service", service, "stop"] }),
};

const START_LEVELS = [2, 3, 4, 5];
const STOP_LEVELS = [0, 1, 6];
const levelDirectory = (root: string, level: number): string =>
  exists(`${root}/etc/rc.d/rc${level}.d`) ? `/etc/rc.d/rc${level}.d` : `/etc/rc${level}.d`;

const isLinkOf = (link: string, service: string): boolean => /^[SK]\d\d/.test(link) && link.slice(3) === service;

/** The link of a script in a directory, whatever number it has: insserv(8) gives all of them other ones. */
const levelLink = (root: string, directory: string, service: string): string | undefined =>
  namesIn(`${root}${directory}`).find((link) => isLinkOf(link, service));

/** Whether the administrator keeps it from being started at boot (update-rc.d(8)). */
const isDisabled = (root: string): boolean =>
  START_LEVELS.some((level) => levelLink(root, levelDirectory(root, level), SERVICE)?.startsWith("K"));

/** Where insserv(8) has been, startpar(8) passes over scripts that are not in its lists, whatever the links are. */
const targetLists = (root: string, ...actions: readonly string[]): string[] =>
  actions.map((action) => `/etc/init.d/.depend.${action}`).filter((path) => textOf(`${root}${path}`) !== "");

const scriptAction = (path: string, action: string): Action => ({ argv: [path, action] });

const sysv: ServiceManager = {
  isUsed: (root) =>
    exists(`${root}/etc/init.d`) && [2, 3].some((level) => exists(`${root}${levelDirectory(root, level)}`)),
  isRunning: () => initName() === "init",
  hasService: hasInitScript,
  advice: { start: `${INIT_SCRIPT} start`, look: `${INIT_SCRIPT} status` },
  artefacts: (target) => [
    script(INIT_SCRIPT, sysvScript, target),
    ...[
      ...START_LEVELS.map((level) => [level, "S20"] as const),
      ...STOP_LEVELS.map((level) => [level, "K80"] as const),
    ].map(([level, order]): Artefact => {
      const directory = levelDirectory(target.root, level);
      const up = directory.replace(/^\/etc\//, "").replace(/[^/]+/g, "..");
      return {
        kind: "link",
        path: `${directory}/${levelLink(target.root, directory, SERVICE) ?? `${order}${SERVICE}`}`,
        target: `${up}/init.d/${SERVICE}`,
      };
    }),
    ...targetLists(target.root, ...(isDisabled(target.root) ? ["stop"] : ["start", "stop"])).map(
      (path): Artefact => ({ kind: "target", path, name: SERVICE }),
    ),
  ],
  rivals: (root, names) =>
    names.flatMap((name) => {
      const disabling = START_LEVELS.flatMap((level) => {
        const directory = levelDirectory(root, level);
        const links = namesIn(`${root}${directory}`).filter((link) => link.startsWith("S") && isLinkOf(link, name));
        return links.flatMap((link) => withoutLink(root, `${directory}/${link}`));
      });
      const kept = targetLists(root, "start")
        .filter((path) => textOf(`${root}${path}`).split(/\s/).includes(name))
        .map((path): Artefact => ({ kind: "kept-target", path, name }));
      return disabling.length === 0 ? [] : { name, disabling: [...disabling, ...kept] };
    }),
  reload: [],
  start: (service) => scriptAction(`/etc/init.d/${service}`, "start"),
  restart: (service) => scriptAction(`/etc/init.d/${service}`, "restart"),
  stop: (service) => scriptAction(`/etc/init.d/${service}`, "stop"),
  placeNow(root, path) {
    const directory = dirname(path);
    return `${directory}/${levelLink(root, directory, basename(path).slice(3)) ?? basename(path)}`;
  },
};

/** Where runsvdir looks, the first that is there: of Void before it runs, and of others. */
const RUNIT_SERVICES = ["/etc/runit/runsvdir/default", "/etc/service", "/service", "/var/service"];
const runitServices = (root: string): string | undefined => RUNIT_SERVICES.find((path) => exists(`${root}${path}`));
const RUNIT_SERVICE = `/etc/sv/${SERVICE}`;
const isScript = (service: string): boolean => service.startsWith("/");

const runit: ServiceManager = {
  isUsed: (root) => runitServices(root) !== undefined && exists(`${root}/etc/sv`),
  isRunning: () => initName() === "runit",
  hasService: (root) => exists(`${root}${RUNIT_SERVICE}`),
  advice: { start: `sv start ${RUNIT_SERVICE}`, look: `sv status ${RUNIT_SERVICE}` },
  artefacts: (target) => [
    script(`${RUNIT_SERVICE}/run`, runitScript, target),
    // Where runsv keeps its state: not on a disk that may be read-only.
    { kind: "link", path: `${RUNIT_SERVICE}/supervise`, target: `/run/supervise.${SERVICE}` },
    { kind: "link", path: `${runitServices(target.root)}/${SERVICE}`, target: RUNIT_SERVICE },
  ],
  rivals: (root, names) => [
    ...names.flatMap((name) => {
      const disabling = withoutLink(root, `${runitServices(root)}/${name}`);
      return disabling.length === 0 ? [] : { name, disabling };
    }),
    // Debian's runit runs the scripts of SysV too, but for those that are services of its own.
    ...sysv
      .rivals(
        root,
        names.filter((name) => !exists(`${root}/etc/sv/${name}`)),
      )
      .map(({ name, disabling }) => ({ name: `/etc/init.d/${name}`, disabling })),
  ],
  reload: [],
  // It looks for new services every five seconds; scripts it runs at boot only.
  start: (service) => (isScript(service) ? scriptAction(service, "start") : undefined),
  restart: (service) => ({ argv: ["sv", "restart", `/etc/sv/${service}`] }),
  stop: (service) =>
    isScript(service) ? scriptAction(service, "stop") : { argv: ["sv", "force-stop", `/etc/sv/${service}`] },
};

const INITTAB = "/etc/inittab";
const reloadInittab: Action = { signalInit: "SIGHUP" };
const isOurLine = (line: string): boolean => line.includes(`/${SERVICE} `);

const busybox: ServiceManager = {
  isUsed: (root) => initProgram(root).startsWith("busybox"),
  isRunning: () => {
    const running = linkTarget("/proc/1/exe")?.split("/").at(-1) ?? "";
    return running.startsWith("busybox");
  },
  hasService: (root) => textOf(`${root}${INITTAB}`).split("\n").some(isOurLine),
  advice: { start: "kill -HUP 1", look: `grep ${SERVICE} ${INITTAB}` },
  artefacts: (target) => {
    const line = busyboxLine.trim().replaceAll(PACKAGED_PROGRAM, target.program);
    if (exists(`${target.root}${INITTAB}`)) return [{ kind: "line", path: INITTAB, line }];
    // With a table of its own, busybox no longer does what it does without one.
    return [plainFile(INITTAB, `${busyboxDefaults}${line}\n`, target)];
  },
  rivals: (root, names) =>
    textOf(`${root}${INITTAB}`)
      .split("\n")
      .filter((line) => !line.startsWith("#") && [...names, "qemu-ga"].some((name) => line.includes(name)))
      // Our own line names the settings of qemu-ga.
      .filter((line) => !isOurLine(line))
      .map((line) => ({ name: line, disabling: [{ kind: "without-line", path: INITTAB, line }] })),
  reload: [reloadInittab],
  // It is started again.
  restart: () => ({ endProgram: true }),
  forget: [{ endProgram: true }],
};

/** In the order in which they are looked for: OpenRC and runit may run below busybox's or SysV's init. */
export const MANAGERS: Readonly<Record<string, ServiceManager>> = { systemd, openrc, runit, busybox, sysv };

/** Whether a manager can be told something. @param root of the system that it is to be of */
export const isLive = (root: string, { isRunning }: ServiceManager): boolean =>
  root === "" && isOwnInit() && isRunning();

/**
 * The manager of a system with its name: of those that are installed the one that runs, else the first.
 * @param root where the system is; "" is this one
 */
export function findManager(root: string): readonly [name: string, manager: ServiceManager] | undefined {
  const used = Object.entries(MANAGERS).filter(([, { isUsed }]) => isUsed(root));
  return used.find(([, manager]) => isLive(root, manager)) ?? used[0];
}
