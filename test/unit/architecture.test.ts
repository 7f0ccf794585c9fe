/** Rules that keep the tree as it was meant: who may know of whom, and what the agent must not use. */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "../..");

interface Source {
  readonly path: string;
  /** Without comments. */
  readonly code: string;
  /** Modules, those of the tree as paths from its root. Types too. */
  readonly imports: readonly string[];
}

/** Strings and comments, whichever begins first; a template counts as a string up to its end. */
const COMMENT_OR_STRING =
  /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`|\/\*[\s\S]*?\*\/|(?<![\\/])\/\/[^\n]*/g;

export const withoutComments = (text: string): string =>
  text.replace(COMMENT_OR_STRING, (found) => (found.startsWith("/") ? " " : found));

function importsOf(path: string, code: string): string[] {
  const names = code.matchAll(/(?:(?<!\.)\bfrom\s|\bimport|\brequire)\s*\(?\s*["']([^"']+)["']/g);
  return Array.from(names, ([, name = ""]) => (name.startsWith(".") ? normalize(join(dirname(path), name)) : name));
}

function sources(...folders: string[]): Source[] {
  return folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => {
        const path = join(folder, name);
        const code = withoutComments(readFileSync(join(ROOT, path), "utf8"));
        return { path, code, imports: importsOf(path, code) };
      }),
  );
}

const src = sources("src");
const platform = sources("platform");
const everything = [...src, ...platform, ...sources("test", "docs", "bench")];
/** The host's side, and what only runs there. */
const isHostSide = ({ path }: Source): boolean => path.startsWith("src/cli/");

/** `path: what` for each match. */
const findings = (files: readonly Source[], pattern: RegExp): string[] =>
  files.flatMap(({ path, code }) => Array.from(code.matchAll(pattern), ([found]) => `${path}: ${found.trim()}`));

const importing = (files: readonly Source[], forbidden: RegExp): string[] =>
  files.flatMap(({ path, imports }) =>
    imports.filter((name) => forbidden.test(name)).map((name) => `${path}: ${name}`),
  );

describe("what the checks see", () => {
  test("there are sources", () => {
    expect(src.length).toBeGreaterThan(30);
    expect(platform.length).toBeGreaterThan(20);
    expect(importing(platform, /^src\/guest\.ts$/).length).toBeGreaterThan(10);
    expect(importing(platform, /^bun:ffi$/).length).toBeGreaterThan(3);
  });

  test("comments do not count, strings do", () => {
    expect(withoutComments('a // "/proc"\nb /* /sys */ "/dev/x // y"')).toBe('a  \nb   "/dev/x // y"');
    expect(withoutComments("const a = `x // y`; // z")).toBe("const a = `x // y`;  ");
  });
});

describe("src", () => {
  test("calls no foreign functions", () => {
    expect(importing(src, /^bun:ffi$/)).toEqual([]);
  });

  test("knows of no platform", () => {
    expect(importing(src, /^platform\//)).toEqual([]);
  });

  test("knows no path of a kernel's", () => {
    expect(
      findings(
        src.filter((file) => !isHostSide(file)),
        /["'`]\/(?:proc|sys|dev)\b[^"'`]*/g,
      ),
    ).toEqual([]);
  });

  test("knows no name of Win32", () => {
    expect(
      findings(src, /["'`](?:kernel32|ntdll|advapi32)\b|\\\\\\\\\.\\\\|\b(?:CreateFileW|DeviceIoControl|HKEY_\w+)\b/g),
    ).toEqual([]);
  });
});

describe("platform", () => {
  test("shares nothing with src but the contract and what is common to errors and text", () => {
    expect(importing(platform, /^src\/(?:dialect|framing|channel|config|cli|start|agent)/).filter(allowMain)).toEqual(
      [],
    );
  });

  test("one system's code knows nothing of the other's", () => {
    expect(importing(sources("platform/linux"), /^platform\/windows/)).toEqual([]);
    expect(importing(sources("platform/windows"), /^platform\/linux/)).toEqual([]);
  });

  /** The entry points join the two halves. */
  function allowMain(found: string): boolean {
    return !/^platform\/\w+\/main\.ts:/.test(found);
  }
});

describe("the agent sleeps in its own loop", () => {
  const agent = [...src, ...platform].filter((file) => !isHostSide(file));

  test("without timers of Bun's", () => {
    expect(findings(agent, /\b(?:setTimeout|setInterval|setImmediate)\s*\(/g)).toEqual([]);
  });

  test("without Bun's children, sockets and files", () => {
    expect(
      findings(
        agent,
        /\bBun\.(?:spawn|spawnSync|listen|connect|serve|udpSocket|file|write|sleep|stdin)\b|\bfetch\s*\(/g,
      ),
    ).toEqual([]);
  });

  test("without modules that wait for Bun's loop", () => {
    const waiting =
      /^(?:node:)?(?:child_process|fs\/promises|net|tls|dgram|http|https|http2|stream|timers|readline|worker_threads|events)(?:\/|$)/;
    expect(importing(agent, waiting)).toEqual([]);
  });

  test("and imports nothing while it runs", () => {
    // src/main.ts loads a subcommand, which is not the agent. `typeof import(...)` is a type.
    const dynamic = findings(agent, /(?<!typeof\s+)\bimport\s*\(/g);
    expect(dynamic.filter((found) => !found.startsWith("src/main.ts:"))).toEqual([]);
  });
});

describe("the tree", () => {
  test("has no `any`", () => {
    expect(findings(everything, /(?::|<|\bas|\|)\s*any\b(?!\s*[:(])/g).filter((found) => !found.includes('"'))).toEqual(
      [],
    );
  });

  test("names files of its own with their ending", () => {
    const own = everything.flatMap(({ path, imports }) =>
      imports
        .filter((name) => /^(?:src|platform|test|docs|bench)\//.test(name) && !/\.(?:ts|json)$/.test(name))
        .map((name) => `${path}: ${name}`),
    );
    expect(own).toEqual([]);
  });

  test("has a lock file without addresses of downloads", () => {
    const lock = readFileSync(join(ROOT, "package-lock.json"), "utf8");
    expect(lock).toContain('"integrity"');
    expect(lock).not.toContain('"resolved"');
  });
});
