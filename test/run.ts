/**
 * `npm test [-- WORD ...]`: runs every test file whose path has one of the words, all without words.
 *
 * Each file is a process of its own with a time limit. One in which something failed runs once more, since many tests
 * measure on a machine that others may be using; what failed only at first is listed by name. The last line is "N passed, N failed, N skipped"; the exit code
 * is 1 when something failed or nothing ran, and with CI=true when something was skipped that is not in
 * `EXPECTED_SKIPS`.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { ensurePackages } from "./lab/apt.ts";
import { TEST_PACKAGES } from "./lab/packages.ts";

const ROOT = resolve(import.meta.dir, "..");
const IN_CI = process.env.CI === "true";

/** Folders in the order in which they run, with the minutes that a file of theirs may take; others come last. */
const ORDER: readonly (readonly [folder: string, minutes: number])[] = [
  ["test/unit", 3],
  ["test/dialect", 3],
  ["test/peer", 5],
  ["test/linux", 10],
  ["test/conformance", 10],
  ["test/cli", 10],
  ["test/hooks", 10],
  ["test/packaging", 15],
  ["test/vm", 15],
  ["test/wine", 15],
];
const OTHER_MINUTES = 5;

/** Tests that CI may skip. */
const EXPECTED_SKIPS: readonly { readonly name: RegExp; readonly reason: string }[] = [];

type Verdict = "passed" | "failed" | "skipped";

interface Result {
  readonly file: string;
  readonly name: string;
  readonly verdict: Verdict;
}

const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
const unescapeXml = (text: string): string =>
  text.replace(/&(?:#(\d+)|(\w+));/g, (whole, code: string | undefined, name: string | undefined) =>
    code === undefined ? (ENTITIES[name ?? ""] ?? whole) : String.fromCodePoint(Number(code)),
  );

/** The test cases of a report in JUnit's format, as Bun writes it. */
export function readReport(file: string, xml: string): Result[] {
  const cases = xml.matchAll(/<testcase name="([^"]*)" classname="([^"]*)"[^>]*?(?:\/>|>([\s\S]*?)<\/testcase>)/g);
  return Array.from(cases, ([, name = "", suite = "", inside = ""]) => ({
    file,
    name: unescapeXml(suite === "" ? name : `${suite} > ${name}`),
    verdict: inside.includes("<failure") ? "failed" : inside.includes("<skipped") ? "skipped" : "passed",
  }));
}

const rank = (file: string): number => {
  const found = ORDER.findIndex(([folder]) => file.startsWith(`${folder}/`));
  return found < 0 ? ORDER.length : found;
};

function testFiles(words: readonly string[]): string[] {
  return Array.from(new Bun.Glob("test/**/*.test.ts").scanSync({ cwd: ROOT }))
    .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
    .sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`;

/** Runs a file; what it prints is shown when something in it failed. */
async function runFile(file: string, folder: string): Promise<Result[]> {
  const report = join(folder, "report.xml");
  rmSync(report, { force: true });
  const minutes = ORDER[rank(file)]?.[1] ?? OTHER_MINUTES;
  const started = performance.now();
  const options = ["--only-failures", "--reporter=junit", `--reporter-outfile=${report}`];
  const child = Bun.spawn([process.execPath, "test", ...options, `./${file}`], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: minutes * 60_000,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  let results: Result[] = [];
  try {
    results = readReport(file, readFileSync(report, "utf8"));
  } catch {
    // No report: it did not get that far, which the exit code tells.
  }
  if (code !== 0 && !results.some(({ verdict }) => verdict === "failed")) {
    const why = child.killed ? `not done after ${minutes} minutes` : `ended with code ${code}`;
    results.push({ file, name: `the file as a whole: ${why}`, verdict: "failed" });
  }
  if (code !== 0) console.log(`${stdout}\n${stderr}`);
  console.log(`${file}: ${tally(results)} in ${seconds(started)}`);
  return results;
}

function tally(results: readonly Result[]): string {
  const count = (wanted: Verdict): number => results.filter(({ verdict }) => verdict === wanted).length;
  return `${count("passed")} passed, ${count("failed")} failed, ${count("skipped")} skipped`;
}

/** A skipped test is a failed one where all that is needed can be had. */
function judgeSkips(results: readonly Result[]): Result[] {
  return results.map((result) => {
    const isExpected = EXPECTED_SKIPS.some(({ name }) => name.test(result.name));
    return result.verdict === "skipped" && IN_CI && !isExpected ? { ...result, verdict: "failed" } : result;
  });
}

function list(title: string, results: readonly Result[]): void {
  if (results.length === 0) return;
  console.log(`\n${title}`);
  for (const { file, name } of results) console.log(`  ${file}: ${name}`);
}

const failed = ({ verdict }: Result): boolean => verdict === "failed";

async function main(words: readonly string[]): Promise<number> {
  const files = testFiles(words);
  const packages = await ensurePackages(TEST_PACKAGES);
  if (!packages.available) console.log(`not all Debian packages for tests are there: ${packages.reason}`);
  const folder = mkdtempSync(join(tmpdir(), "inguest-test-"));
  let results: Result[] = [];
  const unsteady: Result[] = [];
  try {
    for (const file of files) {
      const first = await runFile(file, folder);
      const last = first.some(failed) ? await runFile(file, folder) : first;
      if (!last.some(failed)) unsteady.push(...first.filter(failed));
      results.push(...last);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  results = judgeSkips(results);
  list(
    "Skipped:",
    results.filter(({ verdict }) => verdict === "skipped"),
  );
  list("Failed at first, and passed when run once more:", unsteady);
  list("Failed:", results.filter(failed));
  console.log(`\n${tally(results)}`);
  return !results.some(failed) && results.some(({ verdict }) => verdict === "passed") ? 0 : 1;
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
