/** What an installed agent consists of: files, links and lines in the files of others. */
import {
  chmodSync,
  closeSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import type { SystemChange } from "../../../src/guest.ts";
import { throwingSystemErrors } from "../sysfs.ts";

/** Paths are those of the system that is installed to; `root` is where that is. */
export type Artefact =
  | {
      readonly kind: "file";
      readonly path: string;
      readonly content: Uint8Array;
      readonly mode: number;
      /** A file of settings: one that is there stays as it is. */
      readonly settings?: true;
    }
  | { readonly kind: "link"; readonly path: string; readonly target: string }
  | { readonly kind: "line"; readonly path: string; readonly line: string }
  /** A link of another agent's that must not be there. */
  | { readonly kind: "without-link"; readonly path: string; readonly target: string }
  /** A line about another agent that must not be there. */
  | { readonly kind: "without-line"; readonly path: string; readonly line: string }
  /** A script among those that startpar(8) starts or stops. */
  | { readonly kind: "target"; readonly path: string; readonly name: string }
  /** A script of another agent's that must be among them again when all is taken back. */
  | { readonly kind: "kept-target"; readonly path: string; readonly name: string };

type Kind = Artefact["kind"];
type OfKind<K extends Kind> = Extract<Artefact, { readonly kind: K }>;

const MEBIBYTE = 1024 * 1024;
const DIRECTORY_MODE = 0o755;

const isThere = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined;

/** Does what node:fs does; what it throws becomes a SystemError about the path. */
const on = <T>(call: string, path: string, action: () => T): T => throwingSystemErrors(call, path, action);

function hasContent(path: string, content: Uint8Array): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found?.isFile() === true && found.size === content.byteLength && readFileSync(path).equals(content);
}

/** Replaces a file at once: a running program keeps the old one, and a power cut leaves one of the two. */
function replaceFile(path: string, content: Uint8Array, mode: number): void {
  const beside = `${path}.new`;
  on("write", path, () => {
    rmSync(beside, { force: true });
    const file = openSync(beside, "wx", mode);
    try {
      writeFileSync(file, content);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    // The umask had a part in the mode.
    chmodSync(beside, mode);
    renameSync(beside, path);
  });
}

const linesOf = (path: string): string[] =>
  isThere(path) ? on("read", path, () => readFileSync(path, "utf8")).split("\n") : [];

function addLine(path: string, line: string): void {
  const text = isThere(path) ? on("read", path, () => readFileSync(path, "utf8")) : "";
  const ended = text === "" || text.endsWith("\n") ? text : `${text}\n`;
  rewrite(path, `${ended}${line}\n`);
}

function rewrite(path: string, text: string): void {
  const { mode } = on("stat", path, () => statSync(path, { throwIfNoEntry: false })) ?? { mode: 0o644 };
  replaceFile(path, Buffer.from(text), mode & 0o7777);
}

function removeLine(path: string, line: string): void {
  rewrite(
    path,
    linesOf(path)
      .filter((other) => other !== line)
      .join("\n"),
  );
}

function remove(path: string): void {
  on("unlink", path, () => unlinkSync(path));
}

function putLink(path: string, target: string): void {
  on("symlink", path, () => {
    rmSync(path, { force: true });
    symlinkSync(target, path);
  });
}

/** What insserv(8) begins the list of all scripts with; the lines behind it are what each of some waits for. */
const TARGETS = "TARGETS =";

const wordsOf = (line: string): string[] => line.split(" ").filter((word) => word !== "");

const isTarget = (path: string, name: string): boolean =>
  linesOf(path).some((line) => line.startsWith(TARGETS) && wordsOf(line).includes(name));

function addTarget(path: string, name: string): void {
  const lines = linesOf(path).map((line) => (line.startsWith(TARGETS) ? `${line.trimEnd()} ${name}` : line));
  rewrite(path, lines.join("\n"));
}

function removeTarget(path: string, name: string): void {
  const lines = linesOf(path)
    .filter((line) => !line.startsWith(`${name}:`))
    .map((line) =>
      wordsOf(line).includes(name)
        ? wordsOf(line)
            .filter((word) => word !== name)
            .join(" ")
        : line,
    );
  rewrite(path, lines.join("\n"));
}

const pointsTo = (path: string, target: string): boolean =>
  lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true && readlinkSync(path) === target;

/** One kind of artefact: whether it is in place, how to put it there, how to take it back. */
interface Handling<K extends Kind> {
  readonly text: (artefact: OfKind<K>) => string;
  readonly undoText: (artefact: OfKind<K>) => string;
  readonly isDone: (at: string, artefact: OfKind<K>) => boolean;
  readonly apply: (at: string, artefact: OfKind<K>) => void;
  /** Whether there is nothing left of it. */
  readonly isUndone: (at: string, artefact: OfKind<K>) => boolean;
  readonly undo: (at: string, artefact: OfKind<K>) => void;
}

const size = ({ byteLength }: Uint8Array): string =>
  byteLength < MEBIBYTE ? "" : ` (${Math.round(byteLength / MEBIBYTE)} MiB)`;

const HANDLING: { readonly [K in Kind]: Handling<K> } = {
  file: {
    text: ({ path, content }) => `write ${path}${size(content)}`,
    undoText: ({ path }) => `remove ${path}`,
    isDone: (at, { content, mode, settings }) =>
      settings ? isThere(at) : hasContent(at, content) && (statSync(at).mode & 0o7777) === mode,
    apply: (at, { content, mode }) => replaceFile(at, content, mode),
    isUndone: (at) => !isThere(at),
    undo: (at) => remove(at),
  },
  link: {
    text: ({ path, target }) => `link ${path} to ${target}`,
    undoText: ({ path }) => `remove ${path}`,
    isDone: (at, { target }) => pointsTo(at, target),
    apply: (at, { target }) => putLink(at, target),
    isUndone: (at) => !isThere(at),
    undo: (at) => remove(at),
  },
  line: {
    text: ({ path, line }) => `add to ${path}: ${line}`,
    undoText: ({ path, line }) => `remove from ${path}: ${line}`,
    isDone: (at, { line }) => linesOf(at).includes(line),
    apply: (at, { line }) => addLine(at, line),
    isUndone: (at, { line }) => !linesOf(at).includes(line),
    undo: (at, { line }) => removeLine(at, line),
  },
  "without-link": {
    text: ({ path }) => `remove ${path}`,
    undoText: ({ path, target }) => `link ${path} to ${target}`,
    isDone: (at) => !isThere(at),
    apply: (at) => remove(at),
    isUndone: (at) => isThere(at),
    undo: (at, { target }) => putLink(at, target),
  },
  "without-line": {
    text: ({ path, line }) => `remove from ${path}: ${line}`,
    undoText: ({ path, line }) => `add to ${path}: ${line}`,
    isDone: (at, { line }) => !linesOf(at).includes(line),
    apply: (at, { line }) => removeLine(at, line),
    isUndone: (at, { line }) => linesOf(at).includes(line),
    undo: (at, { line }) => addLine(at, line),
  },
  target: {
    text: ({ path, name }) => `add to ${path}: ${name}`,
    undoText: ({ path, name }) => `remove from ${path}: ${name}`,
    isDone: (at, { name }) => isTarget(at, name),
    apply: (at, { name }) => addTarget(at, name),
    isUndone: (at, { name }) => !isTarget(at, name),
    undo: (at, { name }) => removeTarget(at, name),
  },
  "kept-target": {
    text: ({ path, name }) => `keep in ${path}: ${name}`,
    undoText: ({ path, name }) => `add to ${path}: ${name}`,
    isDone: () => true,
    apply() {},
    isUndone: (at, { name }) => !isThere(at) || isTarget(at, name),
    undo: (at, { name }) => addTarget(at, name),
  },
};

/** The handling of an artefact's kind; both are of the same one. */
const handlingOf = <K extends Kind>({ kind }: OfKind<K>): Handling<K> => HANDLING[kind as K];

/** Directories that have to be made for a path, the outermost first. */
export function missingDirectories(root: string, path: string): string[] {
  const directory = dirname(path);
  if (directory === "/" || isThere(`${root}${directory}`)) return [];
  return [...missingDirectories(root, directory), directory];
}

/** Puts an artefact in place, with the directories that it needs. */
export function putting<K extends Kind>(root: string, artefact: OfKind<K>): SystemChange {
  const { text, isDone, apply } = handlingOf<K>(artefact);
  const at = `${root}${artefact.path}`;
  return {
    text: text(artefact),
    needed: !isDone(at, artefact),
    apply() {
      on("mkdir", dirname(at), () => mkdirSync(dirname(at), { recursive: true, mode: DIRECTORY_MODE }));
      apply(at, artefact);
    },
  };
}

/** Takes an artefact back. */
export function takingBack<K extends Kind>(root: string, artefact: OfKind<K>): SystemChange {
  const { undoText, isUndone, undo } = handlingOf<K>(artefact);
  const at = `${root}${artefact.path}`;
  return { text: undoText(artefact), needed: !isUndone(at, artefact), apply: () => undo(at, artefact) };
}

/** Removes a directory that was made for the agent, unless something else is in it by now. */
export function removingDirectory(root: string, path: string): SystemChange {
  const at = `${root}${path}`;
  return {
    text: `remove ${path}, if nothing else is in it`,
    needed: isThere(at),
    apply() {
      try {
        rmdirSync(at);
      } catch {
        // Not empty: it is somebody else's by now.
      }
    },
  };
}
