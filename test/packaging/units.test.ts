/** The unit files, as the programs that read them judge them. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { KNOWN_PORTS } from "../../src/config/known-ports.ts";
import { describeWith, ensurePackages } from "../lab/apt.ts";
import { run } from "../lab/process.ts";

const packaging = resolve(import.meta.dir, "../../packaging");
const textOf = (path: string): string => readFileSync(join(packaging, path), "utf8");

describeWith("systemd", await ensurePackages(["systemd"]), () => {
  let folder = "";
  let unit = "";
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "inguest-units-"));
    unit = join(folder, "inguest.service");
    // It is looked whether the program is there.
    await Bun.write(unit, textOf("systemd/inguest.service").replaceAll("/usr/bin/inguest", "/bin/true"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const analyze = (...words: readonly string[]) =>
    run(["systemd-analyze", ...words, unit], { env: { SYSTEMD_UNIT_PATH: `${folder}:` } });

  const restrict = (): Promise<number> =>
    Bun.write(
      join(folder, "inguest.service.d/restricted.conf"),
      textOf("systemd/inguest-restricted.conf").replaceAll("/usr/bin/inguest", "/bin/true"),
    );

  /** From 0, safe, to 10. */
  async function exposure(): Promise<number> {
    const { stdout } = await analyze("security", "--offline=true");
    return Number(/Overall exposure level for inguest\.service: (\d+\.\d+)/.exec(stdout)?.[1]);
  }

  test("has nothing to say against the unit", async () => {
    const { exitCode, stdout, stderr } = await analyze("verify");
    expect(stdout + stderr).toBe("");
    expect(exitCode).toBe(0);
  });

  test("finds what the documentation says about its exposure, without and with the drop-in", async () => {
    const documented = /(\d\.\d) as it is, (\d\.\d) with the drop-in/.exec(
      readFileSync(resolve(packaging, "../docs/install.md"), "utf8"),
    );
    expect(await exposure()).toBe(Number(documented?.[1]));
    await restrict();
    const { stdout, stderr } = await analyze("verify");
    expect(stdout + stderr).toBe("");
    expect(await exposure()).toBe(Number(documented?.[2]));
  });
});

test("the udev rule names every port that a host of a known kind has", () => {
  const names = /ATTR\{name\}=="([^"]+)"/.exec(textOf("udev/60-inguest.rules"))?.[1]?.split("|");
  expect(names).toEqual(KNOWN_PORTS.map(({ name }) => name));
});

test.each([
  "install.sh",
  "openrc/inguest.openrc",
  "sysv/inguest.sysv",
  "runit/inguest.runit",
  "deb/postinst",
  "deb/prerm",
  "deb/postrm",
  "apk/post-install",
  "apk/pre-deinstall",
])("%s is something that the smallest shells understand", async (path) => {
  for (const shell of [["dash"], ["busybox", "sh"]]) {
    const { exitCode, stderr } = await run([...shell, "-n", join(packaging, path)]);
    expect({ shell, exitCode, stderr }).toEqual({ shell, exitCode: 0, stderr: "" });
  }
});
