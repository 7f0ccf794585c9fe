/** `inguest man`: the pages are without fault, and have all that there is. */
import { describe, expect, test } from "bun:test";
import { VERBS } from "../../src/cli/ctl/table.ts";
import { troff } from "../../src/cli/man.ts";
import { ALL_OPTIONS } from "../../src/config/options.ts";
import { declaredCommands } from "../../src/dialect/qga/table.ts";
import { inguestCommand } from "../lab/agent.ts";
import { describeWith, ensurePackages } from "../lab/apt.ts";
import { mustRun, run } from "../lab/process.ts";
import { newFolder } from "./agents.ts";

const packages = await ensurePackages(["man-db", "groff", "mandoc"]);
const folder = newFolder();

describeWith("pages of the manual", packages, () => {
  describe.each([[], ["ctl"]])("inguest man %s", (...words: string[]) => {
    const path = `${folder}/${["inguest", ...words].join("-")}.1`;
    const make = async (): Promise<string> => {
      const text = await mustRun([...inguestCommand, "man", ...words]);
      await Bun.write(path, text);
      return text;
    };

    test("no complaint of groff, man and mandoc", async () => {
      const text = await make();
      const silent = { exitCode: 0, stderr: "" };
      expect(await run(["groff", "-ww", "-man", "-Tutf8", "-z", path])).toMatchObject(silent);
      expect(await run(["man", "--warnings", "-E", "UTF-8", "-l", path])).toMatchObject(silent);
      const { stdout: faults } = await run(["mandoc", "-T", "lint", "-W", "warning", path]);
      // A page that is made anew by each release has no date.
      expect(faults.split("\n").filter((line) => !line.includes("missing date"))).toEqual([""]);
      // The check itself would see something.
      await Bun.write(path, `${text}.nonsense\n`);
      expect((await run(["groff", "-ww", "-man", "-Tutf8", "-z", path])).stderr).not.toBe("");
    });

    test("all options, verbs and commands are in it", async () => {
      await make();
      const shown = (await mustRun(["mandoc", "-T", "ascii", "-O", "width=200", path])).replace(/.\x08/g, "");
      const wanted =
        words.length === 0
          ? ALL_OPTIONS.map(({ long }) => `--${long}`)
          : [...VERBS.map(({ name }) => name), ...declaredCommands().map(({ name }) => name), "--libvirt=DOMAIN"];
      expect(wanted.filter((word) => !shown.includes(word))).toEqual([]);
      expect(shown).not.toMatch(/\{\w+\}/);
    });
  });
});

test("text that means something to troff", () => {
  expect(troff("a\\b -c 'd' `e` ~f ^g\n.h")).toBe("a\\(rsb \\-c \\(aqd\\(aq \\(gae\\(ga \\(tif \\(hag\n\\&.h");
});

test("a page that is not there", async () => {
  expect(await run([...inguestCommand, "man", "nope"])).toMatchObject({ exitCode: 2, stdout: "" });
});
