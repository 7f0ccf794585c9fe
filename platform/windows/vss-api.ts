/** The interfaces of the Volume Shadow Copy Service that a requester calls (vsbackup.h, vss.h, vsserror.h). */
import { dlopen } from "bun:ffi";
import { method } from "./com.ts";
import { guid } from "./guid.ts";
import { lazily } from "./lazy.ts";

export const vssapi = lazily(
  () =>
    dlopen("vssapi.dll", {
      // What CreateVssBackupComponents of the headers is: its C++ name cannot be asked for by a plain one.
      CreateVssBackupComponentsInternal: { args: ["ptr"], returns: "i32" },
    }).symbols,
);

/** IVssBackupComponents. A VSS_ID by value is passed by its address on x64. */
export const BACKUP = {
  initializeForBackup: method(5, "ptr"),
  setBackupState: method(6, "u8", "u8", "i32", "u8"),
  gatherWriterMetadata: method(9, "ptr"),
  getWriterMetadataCount: method(10, "ptr"),
  getWriterMetadata: method(11, "u32", "ptr", "ptr"),
  freeWriterMetadata: method(12),
  addComponent: method(13, "ptr", "ptr", "i32", "ptr", "ptr"),
  prepareForBackup: method(14, "ptr"),
  abortBackup: method(15),
  gatherWriterStatus: method(16, "ptr"),
  getWriterStatusCount: method(17, "ptr"),
  freeWriterStatus: method(18),
  getWriterStatus: method(19, "u32", "ptr", "ptr", "ptr", "ptr", "ptr"),
  backupComplete: method(27, "ptr"),
  setContext: method(35, "i32"),
  startSnapshotSet: method(36, "ptr"),
  addToSnapshotSet: method(37, "ptr", "ptr", "ptr"),
  doSnapshotSet: method(38, "ptr"),
} as const;

/** IVssExamineWriterMetadata. */
export const METADATA = {
  getIdentity: method(3, "ptr", "ptr", "ptr", "ptr", "ptr"),
  getFileCounts: method(4, "ptr", "ptr", "ptr"),
  getComponent: method(7, "u32", "ptr"),
} as const;

/** IVssWMComponent. */
export const COMPONENT = {
  getComponentInfo: method(3, "ptr"),
  freeComponentInfo: method(4, "ptr"),
} as const;

/** VSS_COMPONENTINFO. */
export const COMPONENT_INFO = { size: 64, type: 0, logicalPath: 8, name: 16, selectable: 46 } as const;

/** IVssAsync. */
export const ASYNC = { cancel: method(3), queryStatus: method(5, "ptr", "ptr") } as const;

/** VSS_BACKUP_TYPE. */
export const VSS_BT_FULL = 1;

/** VSS_CTX_APP_ROLLBACK | VSS_VOLSNAP_ATTR_NO_AUTORECOVERY | VSS_VOLSNAP_ATTR_TXF_RECOVERY. */
export const CONTEXT = 0x9 | 0x2 | 0x2000000;
export const VSS_VOLSNAP_ATTR_TRANSPORTABLE = 0x20;

export const HRESULT = {
  asyncPending: 0x42309,
  asyncFinished: 0x4230a,
  objectNotFound: 0x80042308 | 0,
  unexpectedProviderError: 0x8004230f | 0,
  holdWritesTimeout: 0x80042314 | 0,
  unsupportedContext: 0x8004231b | 0,
} as const;

/** The system has no texts for these (vsserror.h). */
export const VSS_ERRORS: ReadonlyMap<number, string> = new Map([
  [0x80042301, "VSS_E_BAD_STATE"],
  [0x80042302, "VSS_E_UNEXPECTED"],
  [0x80042304, "VSS_E_PROVIDER_NOT_REGISTERED"],
  [0x80042306, "VSS_E_PROVIDER_VETO"],
  [0x80042307, "VSS_E_PROVIDER_IN_USE"],
  [0x80042308, "VSS_E_OBJECT_NOT_FOUND"],
  [0x8004230c, "VSS_E_VOLUME_NOT_SUPPORTED"],
  [0x8004230e, "VSS_E_VOLUME_NOT_SUPPORTED_BY_PROVIDER"],
  [0x8004230f, "VSS_E_UNEXPECTED_PROVIDER_ERROR"],
  [0x80042312, "VSS_E_MAXIMUM_NUMBER_OF_VOLUMES_REACHED"],
  [0x80042313, "VSS_E_FLUSH_WRITES_TIMEOUT"],
  [0x80042314, "VSS_E_HOLD_WRITES_TIMEOUT"],
  [0x80042315, "VSS_E_UNEXPECTED_WRITER_ERROR"],
  [0x80042316, "VSS_E_SNAPSHOT_SET_IN_PROGRESS"],
  [0x80042317, "VSS_E_MAXIMUM_NUMBER_OF_SNAPSHOTS_REACHED"],
  [0x80042318, "VSS_E_WRITER_INFRASTRUCTURE"],
  [0x80042319, "VSS_E_WRITER_NOT_RESPONDING"],
  [0x8004231b, "VSS_E_UNSUPPORTED_CONTEXT"],
  [0x8004231f, "VSS_E_INSUFFICIENT_STORAGE"],
  [0x80042328, "VSS_E_TRANSACTION_FREEZE_TIMEOUT"],
  [0x800423f0, "VSS_E_WRITERERROR_INCONSISTENTSNAPSHOT"],
  [0x800423f1, "VSS_E_WRITERERROR_OUTOFRESOURCES"],
  [0x800423f2, "VSS_E_WRITERERROR_TIMEOUT"],
  [0x800423f3, "VSS_E_WRITERERROR_RETRYABLE"],
  [0x800423f4, "VSS_E_WRITERERROR_NONRETRYABLE"],
]);

/** What the software provider of QEMU's Windows package is registered as: it holds a freeze until it is told to thaw. */
export const QEMU_PROVIDER = "3629d4ed-ee09-4e0e-9a5c-6d8ba2872aef";
export const qemuProvider = guid(QEMU_PROVIDER);
