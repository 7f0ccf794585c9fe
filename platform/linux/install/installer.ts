/** Making the agent a service of this system, and undoing that. */
import { readFileSync } from "node:fs";
import hookScript from "../../../packaging/fsfreeze-hook" with { type: "text" };
import defaultConfig from "../../../packaging/qemu-ga.conf" with { type: "text" };
import {
  AttemptsError,
  type Installer,
  type InstallRequest,
  ProgramError,
  runProgram,
  type SystemChange,
} from "../../../src/guest.ts";
import { exists } from "../files.ts";
import { errno, libc, systemError } from "../libc.ts";
import { paths } from "../paths.ts";
import { processes } from "../processes.ts";
import { findProgram } from "../programs.ts";
import { type Artefact, missingDirectories, putting, removingDirectory, takingBack } from "./artefact.ts";
import {
  type Action,
  findManager,
  isLive,
  MANAGERS,
  type RivalService,
  SERVICE,
  type ServiceManager,
} from "./managers.ts";
import {
  digest,
  type InstallRecord,
  keyOf,
  mergeRecords,
  RECORD_PATH,
  type RecordedArtefact,
  readRecord,
  recorded,
} from "./record.ts";
import { processesOf, RIVAL_SERVICES, rivalProcesses } from "./rivals.ts";

/** Not below /usr/bin, where packages put theirs; and writable where /usr is not, as with ostree. */
const PROGRAM = "/usr/local/bin/inguest";
const OWN_PROGRAM = "/proc/self/exe";
const PROGRAM_MODE = 0o755;

/** Units of a package of this agent. */
const PACKAGED_UNITS = [`/usr/lib/systemd/system/${SERVICE}.service`, `/lib/systemd/system/${SERVICE}.service`];
/** What apk has installed; its packages have their scripts where an installation has them. */
const APK_DATABASE = "/lib/apk/db/installed";

const SIGNALS = { SIGHUP: 1, SIGTERM: 15 } as const;
const INIT = 1;
const ACTION_MS = 120_000;

/** @throws AttemptsError */
function managerOf({ root, manager: name }: Pick<InstallRequest, "root" | "manager">): {
  readonly name: string;
  readonly manager: ServiceManager;
} {
  const found = name === undefined ? findManager(root) : Object.entries(MANAGERS).find(([known]) => known === name);
  if (found !== undefined) return { name: found[0], manager: found[1] };
  const known = Object.keys(MANAGERS).join(", ");
  throw new AttemptsError([
    name === undefined
      ? `nothing known runs services here; --init names one of ${known}`
      : `'${name}' is not one of ${known}`,
  ]);
}

/** @throws ProgramError */
async function runWords([name = "", ...rest]: readonly string[], optional = false): Promise<void> {
  try {
    await runProgram(processes, [findProgram(name) ?? name, ...rest], { timeout: ACTION_MS });
  } catch (error) {
    if (!optional || !(error instanceof ProgramError)) throw error;
  }
}

/** @throws ProgramError, SystemError */
async function act(action: Action): Promise<void> {
  if ("signalInit" in action) {
    if (libc.kill(INIT, SIGNALS[action.signalInit]) < 0) throw systemError("kill", errno(), "init");
  } else if ("endProgram" in action) {
    for (const pid of processesOf(PROGRAM)) libc.kill(pid, SIGNALS.SIGTERM);
  } else {
    await runWords(action.argv, action.optional);
  }
}

function actionText(action: Action): string {
  if ("signalInit" in action) return `send ${action.signalInit} to init`;
  return "endProgram" in action ? `end the processes of ${PROGRAM}` : `run ${action.argv.join(" ")}`;
}

const acting = (action: Action, needed: boolean): SystemChange => ({
  text: actionText(action),
  needed,
  apply: () => act(action),
});

/** As `acting`, where it does not matter if there was nothing to do. */
const trying = (action: Action): SystemChange =>
  acting("argv" in action ? { ...action, optional: true } : action, true);

const fileOf = (path: string): Buffer | undefined => {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
};

const isApkPackage = (root: string): boolean =>
  fileOf(`${root}${APK_DATABASE}`)?.toString().split("\n").includes(`P:${SERVICE}`) ?? false;

/** @throws AttemptsError */
function refusePackaged(root: string): void {
  if (!isApkPackage(root) && !PACKAGED_UNITS.some((path) => exists(`${root}${path}`))) return;
  throw new AttemptsError(["inguest is installed by a package already; the package manager updates and removes it"]);
}

/** Ends processes of other agents that no service manager knows of. */
function endingProcesses(): SystemChange[] {
  return rivalProcesses().map(({ pid, name }) => ({
    text: `end ${name}, process ${pid}, if it still runs`,
    needed: true,
    apply() {
      libc.kill(pid, SIGNALS.SIGTERM);
    },
  }));
}

function replacing(
  root: string,
  rivals: readonly RivalService[],
  live: ServiceManager | undefined,
): readonly SystemChange[] {
  return [
    ...rivals.flatMap(({ disabling }) =>
      // It changes nothing now.
      disabling.filter(({ kind }) => kind !== "kept-target").map((artefact) => putting(root, artefact)),
    ),
    ...rivals.flatMap(({ name }) => live?.stop?.(name) ?? []).map(trying),
    ...(live === undefined ? [] : endingProcesses()),
  ];
}

/** @throws AttemptsError when a rival's file is where its mask would be */
function refuseOwnUnits(root: string, rivals: readonly RivalService[]): void {
  const inTheWay = rivals
    .flatMap(({ disabling }) => disabling)
    .find((artefact) => artefact.kind === "link" && exists(`${root}${artefact.path}`));
  if (inTheWay === undefined) return;
  throw new AttemptsError([`${inTheWay.path} is a unit of this machine's own and cannot be masked; remove it first`]);
}

const keepingRecord = (root: string, record: InstallRecord): SystemChange =>
  putting(root, {
    kind: "file",
    path: RECORD_PATH,
    content: Buffer.from(`${JSON.stringify(record, undefined, 2)}\n`),
    mode: 0o644,
  });

/**
 * @param program the file that is installed
 * @throws AttemptsError, SystemError
 */
async function planInstall(request: InstallRequest, program: string): Promise<readonly SystemChange[]> {
  const { root, replace, withoutPort, later } = request;
  refusePackaged(root);
  const { name, manager } = managerOf(request);
  const live = isLive(root, manager) ? manager : undefined;
  const rivals = replace ? manager.rivals(root, RIVAL_SERVICES) : [];
  refuseOwnUnits(root, rivals);
  const earlier = readRecord(root);
  const wasOurs = (path: string): boolean => earlier?.artefacts.some((artefact) => artefact.path === path) ?? false;
  const artefacts: Artefact[] = [
    { kind: "file", path: PROGRAM, content: readFileSync(program), mode: PROGRAM_MODE },
    {
      kind: "file",
      path: paths.configFile,
      content: Buffer.from(defaultConfig),
      mode: 0o644,
      settings: true,
    },
    { kind: "file", path: paths.fsfreezeHook, content: Buffer.from(hookScript), mode: 0o755, settings: true },
    ...manager
      .artefacts({ root, program: PROGRAM, withoutPort })
      // A table that we have written is not somebody else's to which a line is added.
      .filter(
        ({ kind, path }) => !(kind === "line" && earlier?.artefacts.some((a) => a.kind === "file" && a.path === path)),
      ),
  ];
  const puts = artefacts.map((artefact) => ({ artefact, change: putting(root, artefact) }));
  const record = mergeRecords(earlier, {
    manager: name,
    artefacts: [
      ...puts
        .filter(({ artefact, change }) => !("settings" in artefact) || (change.needed && !wasOurs(artefact.path)))
        .map(({ artefact }) => recorded(artefact)),
      ...rivals.flatMap(({ disabling }) => disabling.map(recorded)),
    ],
    directories: [
      ...new Set([RECORD_PATH, ...artefacts.map(({ path }) => path)].flatMap((path) => missingDirectories(root, path))),
    ],
    stopped: live === undefined ? [] : rivals.map(({ name: service }) => service),
  });
  const changes = puts.map(({ change }) => change);
  const isChanged = changes.some(({ needed }) => needed);
  const runs = processesOf(PROGRAM).length > 0;
  const begin = runs ? live?.restart(SERVICE) : live?.start?.(SERVICE);
  return [
    keepingRecord(root, record),
    ...replacing(root, rivals, live),
    ...changes,
    ...(live?.reload ?? []).map((action) => acting(action, isChanged)),
    ...(begin === undefined || later ? [] : [acting(begin, isChanged || !runs)]),
  ];
}

/** The artefacts of a record where they are now, each once. */
function artefactsNow(root: string, { artefacts }: InstallRecord, manager: ServiceManager): RecordedArtefact[] {
  const moved = artefacts.map((artefact) =>
    artefact.kind === "link"
      ? { ...artefact, path: manager.placeNow?.(root, artefact.path) ?? artefact.path }
      : artefact,
  );
  return [...new Map(moved.map((artefact) => [keyOf(artefact), artefact])).values()];
}

/** @throws AttemptsError, SystemError */
async function planUninstall({ root, purge }: { root: string; purge: boolean }): Promise<readonly SystemChange[]> {
  const record = readRecord(root);
  if (record === undefined) {
    refusePackaged(root);
    throw new AttemptsError([`there is no record of an installation (${RECORD_PATH})`]);
  }
  const { manager } = managerOf({ root, manager: record.manager });
  const live = isLive(root, manager) ? manager : undefined;
  const undone = artefactsNow(root, record, manager).map((artefact): SystemChange => {
    const { kind, path, target = "", line = "", name = "", settings } = artefact;
    const content = new Uint8Array();
    if (kind === "file") {
      const found = fileOf(`${root}${path}`);
      const isChanged = settings !== undefined && found !== undefined && digest(found) !== settings;
      if (isChanged && !purge)
        return { text: `keep ${path}, which was changed (--purge removes it)`, needed: false, apply() {} };
      return takingBack<"file">(root, { kind, path, content, mode: 0 });
    }
    if (kind === "line" || kind === "without-line") return takingBack<typeof kind>(root, { kind, path, line });
    if (kind === "target" || kind === "kept-target") return takingBack<typeof kind>(root, { kind, path, name });
    return takingBack<typeof kind>(root, { kind, path, target });
  });
  return [
    ...[live?.stop?.(SERVICE)].filter((action) => action !== undefined).map(trying),
    ...undone,
    ...(live?.reload ?? []).map(trying),
    ...(live?.forget ?? []).map(trying),
    takingBack<"file">(root, { kind: "file", path: RECORD_PATH, content: new Uint8Array(), mode: 0 }),
    ...record.directories.toReversed().map((directory) => removingDirectory(root, directory)),
    ...record.stopped.flatMap((service) => live?.start?.(service) ?? []).map(trying),
  ];
}

export const installer: Installer = {
  managers: Object.keys(MANAGERS),
  rivals(request) {
    const services = managerOf(request).manager.rivals(request.root, RIVAL_SERVICES);
    const running = request.root === "" ? rivalProcesses() : [];
    return [
      ...running.map(({ name, pid }) => `${name} runs, process ${pid}`),
      ...services.map(({ name }) => `the service ${name} is installed and would be started`),
    ];
  },
  install: (request) => planInstall(request, OWN_PROGRAM),
  uninstall: planUninstall,
};
