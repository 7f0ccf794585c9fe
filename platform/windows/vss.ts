/**
 * Freezing through the Volume Shadow Copy Service, as its requester.
 *
 * The service freezes writers and filesystems inside DoSnapshotSet, and only as long as the provider's CommitSnapshots
 * takes. Where the provider of QEMU's Windows package is registered, that one is used: it says "frozen" by an event and
 * waits for another, so that the freeze is held until the thaw. Elsewhere Windows' own provider makes its snapshot, and
 * nothing is held: that is refused, because a host would take for consistent what is not.
 */
import type { Pointer } from "bun:ffi";
import { AttemptsError, type Freezer } from "../../src/guest.ts";
import { createReferences, invoke, type Method, type References, release } from "./com.ts";
import { errorText, hex } from "./errors.ts";
import { createEvent, isSet, setEvent } from "./events.ts";
import { type Handle, kernel32 } from "./kernel32.ts";
import { loop, onLoopEnd } from "./loop.ts";
import { addressIn, bytesAt } from "./memory.ts";
import { ole32, oleaut32 } from "./ole32.ts";
import { isFixed, listVolumes, type Volume } from "./storage.ts";
import {
  ASYNC,
  BACKUP,
  COMPONENT,
  COMPONENT_INFO,
  CONTEXT,
  HRESULT,
  METADATA,
  qemuProvider,
  VSS_BT_FULL,
  VSS_ERRORS,
  VSS_VOLSNAP_ATTR_TRANSPORTABLE,
  vssapi,
} from "./vss-api.ts";
import { isProviderRegistered } from "./vss-provider.ts";
import { wide, wideAt } from "./wide.ts";

/** Milliseconds that an operation may take; the service itself gives up a freeze after 10 seconds of held writes. */
const LIMIT_MS = 60_000;
/** An operation makes progress only when it is asked how it goes. */
const ASK_MS = 20;

const GUID_SIZE = 16;
const COINIT_MULTITHREADED = 0;
const RPC_C_AUTHN_LEVEL_PKT_PRIVACY = 6;
const RPC_C_IMP_LEVEL_IDENTIFY = 2;

/** Names that QEMU's provider knows. */
const EVENTS = {
  frozen: "Global\\QGAVSSEvent-frozen",
  thaw: "Global\\QGAVSSEvent-thaw",
  timeout: "Global\\QGAVSSEvent-timeout",
} as const;

const failed = (result: number): boolean => result < 0;

function resultText(result: number): string {
  const code = result >>> 0;
  const text = VSS_ERRORS.get(code) ?? errorText(result);
  return `${text} (Windows error ${hex(code)})`;
}

/** An HRESULT that a call has failed with. */
class VssError extends AttemptsError {
  constructor(
    what: string,
    readonly result: number,
  ) {
    super([`${what}: ${resultText(result)}`]);
  }
}

/** @throws VssError */
function expectSuccess(result: number, what: string): void {
  if (failed(result)) throw new VssError(what, result);
}

let initialised = false;

/** @throws AttemptsError when the service cannot be used at all */
function initialise(): void {
  if (initialised) return;
  // Another apartment was chosen before, or security was set before: both do for us.
  ole32().CoInitializeEx(null, COINIT_MULTITHREADED);
  ole32().CoInitializeSecurity(
    null,
    -1,
    null,
    null,
    RPC_C_AUTHN_LEVEL_PKT_PRIVACY,
    RPC_C_IMP_LEVEL_IDENTIFY,
    null,
    0,
    null,
  );
  try {
    vssapi();
  } catch {
    throw new AttemptsError(["fsfreeze not possible as VSS failed to initialize"]);
  }
  if (!isProviderRegistered()) {
    throw new AttemptsError([
      "fsfreeze not possible: no VSS provider that holds a freeze is installed (-s vss-install)",
    ]);
  }
  initialised = true;
}

/** Calls a method that gives an object in its last argument. @throws VssError */
function objectFrom(call: (out: BigUint64Array) => number, what: string): number {
  const out = new BigUint64Array(1);
  expectSuccess(call(out), what);
  const object = Number(out[0]);
  if (object === 0) throw new AttemptsError([`${what}: no object`]);
  return object;
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => loop.after(milliseconds, resolve));

/** The state of an operation, or the error with which asking failed. */
function statusOf(operation: number): number {
  const status = new Int32Array(1);
  const asked = invoke(operation, ASYNC.queryStatus, status, null);
  return failed(asked) ? asked : (status[0] ?? 0);
}

/** Waits until an operation has ended, or cancels it. @returns its HRESULT */
async function ended(operation: number, what: string): Promise<number> {
  const deadline = performance.now() + LIMIT_MS;
  for (;;) {
    const status = statusOf(operation);
    if (status !== HRESULT.asyncPending) return status;
    if (performance.now() > deadline) {
      invoke(operation, ASYNC.cancel);
      throw new AttemptsError([`${what}: no end after ${LIMIT_MS / 1000} s`]);
    }
    await pause(ASK_MS);
  }
}

/** Runs an operation to its end. @throws VssError, AttemptsError */
async function operate(components: number, start: Method, what: string): Promise<void> {
  const operation = objectFrom((out) => invoke(components, start, out), what);
  try {
    expectSuccess(await ended(operation, what), what);
  } finally {
    release(operation);
  }
}

function freeString(string: number): void {
  if (string !== 0) oleaut32().SysFreeString(string as Pointer);
}

/** Writers that have failed, as the service knows since it last asked them. */
function failedWriters(components: number): string[] {
  const count = new Uint32Array(1);
  if (failed(invoke(components, BACKUP.getWriterStatusCount, count))) return [];
  const found: string[] = [];
  for (let index = 0; index < (count[0] ?? 0); index++) {
    const [instance, writer] = [Buffer.alloc(GUID_SIZE), Buffer.alloc(GUID_SIZE)];
    const name = new BigUint64Array(1);
    const [state, failure] = [new Int32Array(1), new Int32Array(1)];
    if (failed(invoke(components, BACKUP.getWriterStatus, index, instance, writer, name, state, failure))) continue;
    const string = Number(name[0]);
    if (failed(failure[0] ?? 0)) found.push(`${wideAt(string)}: ${resultText(failure[0] ?? 0)}`);
    freeString(string);
  }
  return found;
}

/** Adds to an error which writers have failed. */
async function namingWriters(error: unknown, components: number): Promise<unknown> {
  if (!(error instanceof VssError)) return error;
  try {
    await operate(components, BACKUP.gatherWriterStatus, "failed to gather writer status");
  } catch {
    return error;
  }
  const writers = failedWriters(components);
  invoke(components, BACKUP.freeWriterStatus);
  return writers.length === 0
    ? error
    : new AttemptsError([`${error.message} (writers that failed: ${writers.join(", ")})`]);
}

interface Writer {
  readonly metadata: number;
  readonly instance: Buffer;
  readonly id: Buffer;
  readonly name: string;
}

function addComponent(components: number, writer: Writer, component: number): void {
  const what = `failed to get component info of ${writer.name}`;
  const out = new BigUint64Array(1);
  expectSuccess(invoke(component, COMPONENT.getComponentInfo, out), what);
  const address = Number(out[0]);
  try {
    const info = bytesAt(address, COMPONENT_INFO.size);
    if (info.readUInt8(COMPONENT_INFO.selectable) === 0) return;
    const path = addressIn(info, COMPONENT_INFO.logicalPath) as Pointer;
    const name = addressIn(info, COMPONENT_INFO.name) as Pointer;
    const type = info.readInt32LE(COMPONENT_INFO.type);
    const added = invoke(components, BACKUP.addComponent, writer.instance, writer.id, type, path || null, name || null);
    expectSuccess(added, `failed to add component ${wideAt(name)} (${writer.name})`);
  } finally {
    invoke(component, COMPONENT.freeComponentInfo, address as Pointer);
  }
}

/** @throws VssError */
function addWriter(components: number, index: number, count: number): void {
  const which = `writer ${index + 1} of ${count}`;
  const instance = Buffer.alloc(GUID_SIZE);
  const metadata = objectFrom(
    (out) => invoke(components, BACKUP.getWriterMetadata, index, instance, out),
    `failed to get metadata of ${which}`,
  );
  try {
    const id = Buffer.alloc(GUID_SIZE);
    const string = new BigUint64Array(1);
    const [usage, source] = [new Int32Array(1), new Int32Array(1)];
    const asked = invoke(metadata, METADATA.getIdentity, instance, id, string, usage, source);
    expectSuccess(asked, `failed to get identity of ${which}`);
    const name = wideAt(Number(string[0]));
    freeString(Number(string[0]));
    const [includes, excludes, parts] = [new Uint32Array(1), new Uint32Array(1), new Uint32Array(1)];
    expectSuccess(
      invoke(metadata, METADATA.getFileCounts, includes, excludes, parts),
      `failed to get file counts of ${name}`,
    );
    for (let part = 0; part < (parts[0] ?? 0); part++) {
      const component = objectFrom(
        (out) => invoke(metadata, METADATA.getComponent, part, out),
        `failed to get component ${part + 1} of ${name}`,
      );
      try {
        addComponent(components, { metadata, instance, id, name }, component);
      } finally {
        release(component);
      }
    }
  } finally {
    release(metadata);
  }
}

/** Everything that can be chosen of every writer. @throws VssError */
function addComponents(components: number): void {
  const count = new Uint32Array(1);
  expectSuccess(invoke(components, BACKUP.getWriterMetadataCount, count), "failed to get writer metadata count");
  for (let index = 0; index < (count[0] ?? 0); index++) addWriter(components, index, count[0] ?? 0);
}

/** @returns how many. @throws VssError */
function addVolumes(components: number, volumes: readonly { readonly name: string; readonly shown: string }[]): number {
  for (const { name, shown } of volumes) {
    const snapshot = Buffer.alloc(GUID_SIZE);
    const added = invoke(components, BACKUP.addToSnapshotSet, wide(name), qemuProvider, snapshot);
    expectSuccess(added, `failed to add ${shown} to snapshot set`);
  }
  return volumes.length;
}

const shownAs = ({ name, paths }: Volume) => ({ name, shown: paths[0] ?? name });

/** All that has to be undone. */
interface Snapshot {
  readonly components: number;
  readonly references: References;
  readonly events: Readonly<Record<keyof typeof EVENTS, Handle>>;
  operation?: number;
  volumes: number;
}

/** What is frozen now. */
let held: Snapshot | undefined;

function dispose({ references, events }: Snapshot): void {
  references.releaseAll();
  for (const event of Object.values(events)) kernel32.CloseHandle(event);
}

/** @throws AttemptsError */
function begin(): Snapshot {
  const made: Handle[] = [];
  const make = (name: string): Handle => {
    const event = createEvent(name);
    made.push(event);
    return event;
  };
  try {
    const events = { frozen: make(EVENTS.frozen), thaw: make(EVENTS.thaw), timeout: make(EVENTS.timeout) };
    const components = objectFrom(
      (out) => vssapi().CreateVssBackupComponentsInternal(out),
      "failed to create VSS backup components",
    );
    const references = createReferences();
    return { components: references.add(components), references, events, volumes: 0 };
  } catch (error) {
    for (const event of made) kernel32.CloseHandle(event);
    throw error;
  }
}

/** Up to the snapshot itself: nothing is frozen yet. @returns false when there is nothing to freeze. @throws AttemptsError */
async function prepare(snapshot: Snapshot, mountpoints: readonly string[] | undefined): Promise<boolean> {
  const { components } = snapshot;
  expectSuccess(invoke(components, BACKUP.initializeForBackup, null), "failed to initialize for backup");
  expectSuccess(invoke(components, BACKUP.setBackupState, 1, 1, VSS_BT_FULL, 0), "failed to set backup state");
  let chosen = invoke(components, BACKUP.setContext, CONTEXT | VSS_VOLSNAP_ATTR_TRANSPORTABLE);
  // Only servers know transportable snapshots.
  if (chosen === HRESULT.unsupportedContext) chosen = invoke(components, BACKUP.setContext, CONTEXT);
  expectSuccess(chosen, "failed to set backup context");
  await operate(components, BACKUP.gatherWriterMetadata, "failed to gather writer metadata");
  addComponents(components);
  invoke(components, BACKUP.freeWriterMetadata);
  const set = Buffer.alloc(GUID_SIZE);
  expectSuccess(invoke(components, BACKUP.startSnapshotSet, set), "failed to start snapshot set");
  const volumes =
    mountpoints === undefined
      ? listVolumes().filter(isFixed).map(shownAs)
      : mountpoints.map((path) => ({ name: path, shown: path }));
  snapshot.volumes = addVolumes(components, volumes);
  if (snapshot.volumes === 0) return false;
  await operate(components, BACKUP.prepareForBackup, "failed to prepare for backup");
  await operate(components, BACKUP.gatherWriterStatus, "failed to gather writer status");
  return true;
}

/** Starts the snapshot and waits until the provider says that all is frozen. @throws AttemptsError */
async function commit(snapshot: Snapshot): Promise<void> {
  const what = "failed to do snapshot set";
  const operation = objectFrom((out) => invoke(snapshot.components, BACKUP.doSnapshotSet, out), what);
  snapshot.operation = snapshot.references.add(operation);
  const deadline = performance.now() + LIMIT_MS;
  while (!isSet(snapshot.events.frozen)) {
    const status = statusOf(operation);
    expectSuccess(status, what);
    if (status !== HRESULT.asyncPending) throw new AttemptsError([`${what}: it ended without having been frozen`]);
    if (performance.now() > deadline) {
      setEvent(snapshot.events.thaw);
      throw new AttemptsError([`${what}: nothing was frozen after ${LIMIT_MS / 1000} s`]);
    }
    await pause(ASK_MS);
  }
}

async function freeze(mountpoints?: readonly string[]): Promise<number> {
  initialise();
  if (held !== undefined) return 0;
  const snapshot = begin();
  try {
    if (await prepare(snapshot, mountpoints)) {
      await commit(snapshot);
      held = snapshot;
      return snapshot.volumes;
    }
    invoke(snapshot.components, BACKUP.abortBackup);
    dispose(snapshot);
    return 0;
  } catch (error) {
    const told = await namingWriters(error, snapshot.components);
    invoke(snapshot.components, BACKUP.abortBackup);
    dispose(snapshot);
    throw told;
  }
}

/** @throws AttemptsError */
async function complete({ components, operation = 0, events }: Snapshot): Promise<void> {
  const result = await ended(operation, "failed to do snapshot set");
  // Old releases make a last step that has nothing to find: the guest had been frozen until now all the same.
  if (result === HRESULT.objectNotFound) {
    invoke(components, BACKUP.abortBackup);
    return;
  }
  const tooLate =
    result === HRESULT.holdWritesTimeout || (result === HRESULT.unexpectedProviderError && isSet(events.timeout));
  if (tooLate) throw new VssError("couldn't hold writes: fsfreeze is limited up to 10 seconds", result);
  expectSuccess(result, "failed to do snapshot set");
  await operate(components, BACKUP.backupComplete, "failed to complete backup");
}

async function thaw(): Promise<number> {
  const snapshot = held;
  if (snapshot === undefined) return 0;
  held = undefined;
  setEvent(snapshot.events.thaw);
  try {
    await complete(snapshot);
  } catch (error) {
    const told = await namingWriters(error, snapshot.components);
    invoke(snapshot.components, BACKUP.abortBackup);
    throw told;
  } finally {
    dispose(snapshot);
  }
  return snapshot.volumes;
}

/** An agent that ends leaves nothing frozen. */
function letGo(): void {
  if (held === undefined) return;
  setEvent(held.events.thaw);
  invoke(held.components, BACKUP.abortBackup);
  dispose(held);
  held = undefined;
}
onLoopEnd(letGo);

export const freezer: Freezer = { endsWithAgent: true, freeze, thaw };
