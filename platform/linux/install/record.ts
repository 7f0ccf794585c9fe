/** What was done to a system when the agent was installed, kept there to be taken back. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { SystemError } from "../../../src/guest.ts";
import type { Artefact } from "./artefact.ts";

/** An artefact without its content; of settings the digest of what was written. */
export interface RecordedArtefact {
  readonly kind: Artefact["kind"];
  readonly path: string;
  readonly target?: string;
  readonly line?: string;
  readonly name?: string;
  /** SHA-256 of settings, which stay when they were changed since. */
  readonly settings?: string;
}

export interface InstallRecord {
  readonly manager: string;
  readonly artefacts: readonly RecordedArtefact[];
  /** Directories that were not there before, the outermost first. */
  readonly directories: readonly string[];
  /** Services of other agents that ran. */
  readonly stopped: readonly string[];
}

export const RECORD_PATH = "/var/lib/inguest/installed.json";

export const digest = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex");

export function recorded(artefact: Artefact): RecordedArtefact {
  if (artefact.kind !== "file") return artefact;
  const { kind, path, content, settings } = artefact;
  return { kind, path, ...(settings ? { settings: digest(content) } : {}) };
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isOptionalText = (value: unknown): boolean => value === undefined || typeof value === "string";
const areTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((item) => typeof item === "string");

const KINDS: Readonly<Record<Artefact["kind"], true>> = {
  file: true,
  link: true,
  line: true,
  "without-link": true,
  "without-line": true,
  target: true,
  "kept-target": true,
};

const isArtefact = (value: unknown): value is RecordedArtefact =>
  isObject(value) &&
  typeof value.kind === "string" &&
  Object.hasOwn(KINDS, value.kind) &&
  typeof value.path === "string" &&
  value.path.startsWith("/") &&
  [value.target, value.line, value.name, value.settings].every(isOptionalText);

const isRecord = (value: unknown): value is InstallRecord =>
  isObject(value) &&
  typeof value.manager === "string" &&
  Array.isArray(value.artefacts) &&
  value.artefacts.every(isArtefact) &&
  areTexts(value.directories) &&
  areTexts(value.stopped);

/** @returns undefined when the agent was not installed this way. @throws SystemError when the record is damaged */
export function readRecord(root: string): InstallRecord | undefined {
  const path = `${root}${RECORD_PATH}`;
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
  try {
    const value: unknown = JSON.parse(text);
    if (isRecord(value)) return value;
  } catch {
    // Said below.
  }
  throw new SystemError("read", "EINVAL", "this is not a record of an installation", path);
}

/** What tells one artefact from another. */
export const keyOf = ({ kind, path, line, name }: RecordedArtefact): string => [kind, path, line, name].join(" ");

/** Adds what a further installation does to what earlier ones did. */
export function mergeRecords(earlier: InstallRecord | undefined, now: InstallRecord): InstallRecord {
  if (earlier === undefined) return now;
  const artefacts = new Map(earlier.artefacts.map((artefact) => [keyOf(artefact), artefact]));
  for (const artefact of now.artefacts) {
    // Settings belong to the installation that wrote them.
    if (artefacts.get(keyOf(artefact))?.settings === undefined) artefacts.set(keyOf(artefact), artefact);
  }
  return {
    manager: now.manager,
    artefacts: [...artefacts.values()],
    directories: [...new Set([...earlier.directories, ...now.directories])],
    stopped: [...new Set([...earlier.stopped, ...now.stopped])],
  };
}
