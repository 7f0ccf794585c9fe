/** What an executable can still do without the data that `build.ts` takes out of it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dropPackedFiles, dropUnusedData, thinIcuData } from "../../build-data.ts";
import { mustRun } from "../lab/process.ts";
import { compiledAgent } from "../vm/agent.ts";

const folder = mkdtempSync(join(tmpdir(), "inguest-executable-"));
const whole = join(folder, "whole");
const thin = join(folder, "thin");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeAll(async () => {
  const entrypoints = [join(import.meta.dir, "without-language.ts")];
  const { success, logs } = await Bun.build({ entrypoints, target: "bun", compile: { outfile: whole } });
  if (!success) throw new AggregateError(logs, "building failed");
  copyFileSync(whole, thin);
  dropUnusedData(thin);
}, 60_000);

interface Report {
  readonly neutral: Record<string, unknown>;
  readonly ofLanguages: Record<string, Record<string, unknown>>;
}

/** What the program says; a program that crashes throws. */
async function reportOf(program: string, environment: Record<string, string>): Promise<Report> {
  return JSON.parse(await mustRun([program], { env: environment }));
}

describe("without the data of languages", () => {
  test.each([
    { TZ: "UTC", LANG: "C" },
    { TZ: "", LANG: "" },
    { TZ: "Europe/Berlin", LANG: "C.UTF-8" },
    { TZ: "Asia/Kolkata", LANG: "en_US.UTF-8" },
    { TZ: "America/St_Johns", LANG: "en_GB.UTF-8" },
    { TZ: ":Australia/Lord_Howe", LANG: "POSIX" },
    { TZ: "Africa/Casablanca", LANG: "de_DE.UTF-8" },
    { TZ: "EST5EDT", LANG: "tr_TR.UTF-8" },
    { TZ: "Asia/Tehran", LANG: "fa_IR.UTF-8" },
    { TZ: "No/Where", LANG: "sr_RS@latin" },
  ])("time and text are what they were in %j", async (environment) => {
    const { neutral } = await reportOf(thin, environment);
    expect(neutral).toEqual((await reportOf(whole, environment)).neutral);
    expect(Object.values(neutral)).not.toContain("TypeError");
  });

  describe("other languages", () => {
    let ofLanguages: Report["ofLanguages"] = {};
    beforeAll(async () => {
      ({ ofLanguages } = await reportOf(thin, { TZ: "UTC", LANG: "C" }));
    });

    test("are like English", () => {
      const { date, number, plural, relative, list } = ofLanguages.en ?? {};
      expect({ date, number, plural, relative, list }).toEqual({
        date: "Wednesday, July 1, 2026",
        number: "¥1,234,568",
        plural: "two",
        relative: "1 day ago",
        list: "a and b",
      });
      for (const language of ["de", "sv", "th", "ar-EG", "fa", "xx"]) {
        expect(ofLanguages[language]).toMatchObject({ date, relative: expect.stringMatching(/^1 days? ago$/), list });
      }
    });

    test("or like none, when they have another script", () => {
      expect(ofLanguages["zh-Hant-TW"]).toMatchObject({ relative: "-1 d", list: "a, b" });
    });

    test("sort as the root does", () => {
      for (const { sorted } of Object.values(ofLanguages)) expect(sorted).toEqual(ofLanguages.en?.sorted ?? null);
    });

    test("have no names, and throw where there is not even a code", () => {
      for (const outcomes of Object.values(ofLanguages)) {
        expect(outcomes).toMatchObject({ name: "DE", unit: "TypeError", words: "TypeError" });
      }
    });
  });
});

test("the agent's executable is without it", async () => {
  const bytes = readFileSync(await compiledAgent());
  expect(bytes.includes("/de.res\0")).toBe(false);
  expect(dropPackedFiles(bytes, thinIcuData(bytes, {}))).toBe(0);
});

test("an executable that is without it already is refused", () => {
  expect(() => dropUnusedData(thin)).toThrow(`${thin} has other data than expected`);
});
