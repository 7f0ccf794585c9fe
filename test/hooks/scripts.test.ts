/** The freeze hooks as scripts of sh. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { describeWith, ensurePackages } from "../lab/apt.ts";
import { run } from "../lab/process.ts";

setDefaultTimeout(60_000);

const PACKAGING = resolve(import.meta.dir, "../../packaging");
const hooks = readdirSync(join(PACKAGING, "hooks.d")).map((name) => join(PACKAGING, "hooks.d", name));

describeWith("freeze hooks", await ensurePackages(["shellcheck", "busybox-static"]), () => {
  test("shellcheck finds nothing in them", async () => {
    const { exitCode, stdout } = await run(["shellcheck", "--shell=sh", join(PACKAGING, "fsfreeze-hook"), ...hooks]);
    expect(stdout).toBe("");
    expect(exitCode).toBe(0);
  });

  test.each(hooks)("%s tells how it is called, and does nothing else", async (hook) => {
    for (const argument of [[], ["status"]]) {
      expect(await run([hook, ...argument])).toEqual({
        exitCode: 2,
        stdout: "",
        stderr: `usage: ${hook.split("/").at(-1)} freeze|thaw\n`,
      });
    }
  });

  test.each(hooks)("%s is fine where its server is not installed", async (hook) => {
    // Applets alone: no client of any server can be found.
    const shell = ["env", "-i", "PATH=/nowhere", "/bin/busybox", "sh", hook];
    for (const action of ["freeze", "thaw"]) {
      expect(await run([...shell, action])).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    }
  });
});
