/** Debian packages for tests: installed if they can be, else a reason with which a suite is skipped by name. */

import { describe, test } from "bun:test";
import { mustRun, run } from "./process.ts";

/** Whether something a suite needs is there, and if not, why not. */
export type Availability = { available: true } | { available: false; reason: string };

/** Makes sure that the named Debian packages are installed, with one `apt-get update` and one install if any is not. */
export async function ensurePackages(names: readonly string[]): Promise<Availability> {
  if (Bun.which("apt-get") === null) return { available: false, reason: "no apt-get on this machine" };
  const missing = await missingPackages(names);
  if (missing.length === 0) return { available: true };
  if (process.getuid?.() !== 0) return { available: false, reason: `not root, and missing: ${missing.join(" ")}` };

  // Another test process may be installing too: wait for its lock, then look again.
  const options = ["-q", "-o", "DPkg::Lock::Timeout=300"];
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const install = ["apt-get", ...options, "install", "-y", "--no-install-recommends", ...missing];
  // A source that fails to update (some other vendor's) does not matter if the packages can be had.
  const update = await run(["apt-get", ...options, "update"], { timeoutMs: 600_000 });
  const result = await run(install, { env, timeoutMs: 1_200_000 });
  if (result.exitCode === 0) return { available: true };
  const why = [update.exitCode === 0 ? "" : update.stderr, result.stderr].join("\n").trim();
  return { available: false, reason: `apt-get could not install ${missing.join(" ")}:\n${why}` };
}

async function missingPackages(names: readonly string[]): Promise<string[]> {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholders are those of dpkg-query
  const query = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\\n", ...names];
  const { stdout } = await run(query);
  const installed = new Set(
    stdout
      .split("\n")
      .filter((line) => line.endsWith(" installed"))
      .map((line) => line.split(" ")[0]),
  );
  return names.filter((name) => !installed.has(name));
}

/** Runs `prepare` and turns what it throws into the reason of an {@link Availability}. */
export async function availabilityOf(prepare: () => Promise<unknown>): Promise<Availability> {
  try {
    await prepare();
    return { available: true };
  } catch (error) {
    return { available: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

/**
 * `describe` for a suite which needs something of the machine. Without it the suite is listed as skipped with the
 * reason in its name; with `CI=true` in the environment it fails, so that a CI machine cannot pass by skipping.
 */
export function describeWith(name: string, availability: Availability, body: () => void): void {
  if (availability.available) {
    describe(name, body);
    return;
  }
  const { reason } = availability;
  if (process.env.CI === "true") {
    test(name, () => {
      throw new Error(`skipping is not allowed in CI: ${reason}`);
    });
    return;
  }
  describe.skip(`${name} (skipped: ${reason})`, body);
}

/** A set of apt options under which `apt-get` and `apt-cache` see one Debian release only, apart from the machine's. */
export type PrivateApt = readonly string[];

/** The mirror that this machine uses for its own Debian release. Throws if it has none in its apt sources. */
export async function debianMirror(): Promise<string> {
  const own = (await osRelease()).VERSION_CODENAME ?? "";
  const format = "$(REPO_URI) $(RELEASE) $(COMPONENT)";
  const targets = await mustRun(["apt-get", "indextargets", "--format", format, "Created-By: Packages"]);
  const mirror = targets
    .split("\n")
    .map((line) => line.split(" "))
    .find(([uri, suite, component]) => suite === own && component === "main" && uri?.includes("debian"))?.[0];
  if (mirror === undefined) throw new Error(`no Debian mirror for "${own}" in the machine's apt sources`);
  return mirror;
}

/**
 * Sets up apt for another Debian release in `folder`, on {@link debianMirror}, and fetches the package lists.
 */
export async function privateApt(folder: string, release: string): Promise<PrivateApt> {
  const mirror = await debianMirror();
  const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
  await Bun.write(`${folder}/sources.list`, `deb [signed-by=${keyring}] ${mirror} ${release} main\n`);
  await Bun.write(`${folder}/status`, "");
  await mustRun(["mkdir", "-p", `${folder}/lists/partial`, `${folder}/cache/archives/partial`]);
  const apt = [
    `Dir::Etc::sourcelist=${folder}/sources.list`,
    "Dir::Etc::sourceparts=-",
    "Dir::Etc::preferencesparts=-",
    `Dir::State::lists=${folder}/lists`,
    // No package counts as installed, so that nothing of this machine's release takes part in any choice.
    `Dir::State::status=${folder}/status`,
    `Dir::Cache=${folder}/cache`,
    "Acquire::Languages=none",
    // The folder belongs to root and apt's own user could not write to it.
    "APT::Sandbox::User=root",
  ].flatMap((option) => ["-o", option]);
  await mustRun(["apt-get", "-q", ...apt, "update"], { timeoutMs: 600_000 });
  return apt;
}

/** Downloads packages (no dependencies, nothing is installed) and unpacks all of them into `folder`. */
export async function unpackPackages(names: readonly string[], folder: string, apt: PrivateApt = []): Promise<void> {
  const debs = `${folder}.debs`;
  await mustRun(["mkdir", "-p", debs, folder]);
  try {
    const options = ["-q", "-o", "APT::Sandbox::User=root", ...apt];
    await mustRun(["apt-get", ...options, "download", ...names], { cwd: debs, timeoutMs: 600_000 });
    for (const deb of new Bun.Glob("*.deb").scanSync({ cwd: debs, absolute: true })) {
      await mustRun(["dpkg", "-x", deb, folder]);
    }
  } finally {
    await mustRun(["rm", "-rf", debs]);
  }
}

/** The machine's os-release file as a table; values without their quotes. */
export async function osRelease(): Promise<Record<string, string>> {
  const text = await Bun.file("/etc/os-release").text();
  const entries = text.matchAll(/^(\w+)=(?:"([^"\n]*)"|(.*))$/gm).map(([, key, quoted, bare]) => [key, quoted ?? bare]);
  return Object.fromEntries(entries);
}
