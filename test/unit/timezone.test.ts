import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { localTime, localTimeOfFile, localTimeOfRule } from "../../platform/linux/timezone.ts";
import { mustRun } from "../lab/process.ts";

const ZONES = "/usr/share/zoneinfo";

/** Every tenth zone, and the odd ones. */
const someZones = (): string[] => {
  const all = [
    "Africa",
    "America",
    "Antarctica",
    "Asia",
    "Atlantic",
    "Australia",
    "Europe",
    "Indian",
    "Pacific",
  ].flatMap((area) => readdirSync(`${ZONES}/${area}`).map((name) => `${area}/${name}`));
  const regular = all.filter((name) => statSync(`${ZONES}/${name}`).isFile()).filter((_, index) => index % 10 === 0);
  return [...regular, "Europe/Dublin", "Africa/Casablanca", "Australia/Lord_Howe", "America/Nuuk", "UTC", "EST5EDT"];
};

/** What date(1) says of local time at those seconds. */
async function accordingToDate(variable: string, seconds: readonly number[]): Promise<string[]> {
  const list = `/tmp/inguest-dates-${process.pid}`;
  writeFileSync(list, seconds.map((value) => `@${value}\n`).join(""));
  const text = await mustRun(["date", "-f", list, "+%Z %::z"], { env: { TZ: variable } });
  return text.trim().split("\n");
}

function spelt({ zone, offset }: { zone: string; offset: number }): string {
  const size = Math.abs(offset);
  const fields = [size / 3600, (size / 60) % 60, size % 60].map((part) => String(Math.floor(part)).padStart(2, "0"));
  return `${zone} ${offset < 0 || zone === "-00" ? "-" : "+"}${fields.join(":")}`;
}

/** From 1902 to 2099, each time at another hour and day of the week, with both halves of the year. */
const TIMES = Array.from({ length: 200 }, (_, index) => -2_140_000_000 + index * 31_100_123);

describe.if(existsSync(`${ZONES}/Europe/Berlin`))("zone files, against date(1)", () => {
  test.each(someZones())("%s", async (zone) => {
    const file = readFileSync(`${ZONES}/${zone}`);
    const ours = TIMES.map((seconds) => spelt(localTimeOfFile(file, seconds) ?? { zone: "?", offset: 0 }));
    expect(ours).toEqual(await accordingToDate(zone, TIMES));
  });

  test("the seconds around each change of a year", async () => {
    const changes = [1_774_746_000, 1_792_890_000];
    const around = changes.flatMap((at) => [at - 3601, at - 3600, at - 1, at, at + 1, at + 3599, at + 3600]);
    const file = readFileSync(`${ZONES}/Europe/Berlin`);
    expect(around.map((at) => spelt(localTimeOfFile(file, at)!))).toEqual(
      await accordingToDate("Europe/Berlin", around),
    );
  });
});

describe("rules, against date(1)", () => {
  const RULES = [
    "UTC0",
    "CET-1CEST,M3.5.0,M10.5.0/3",
    "EST5EDT,M3.2.0,M11.1.0",
    "AEST-10AEDT,M10.1.0,M4.1.0/3",
    "NZST-12:45:30NZDT-13:45:30,M9.5.0/2:45,M4.1.0/3:45",
    "IST-1GMT0,M10.5.0,M3.5.0/1",
    "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1",
    "<+0330>-3:30",
    "AAA-1BBB,J60/0,J300/0",
    "AAA+1BBB,59/0,300/24",
  ];
  // The C library forgets rules before 1900 and after its tables end.
  test.each(RULES)("%s", async (rule) => {
    const times = TIMES.filter((seconds) => seconds > 0);
    const ours = times.map((seconds) => spelt(localTimeOfRule(rule, seconds) ?? { zone: "?", offset: 0 }));
    expect(ours).toEqual(await accordingToDate(rule, times));
  });

  test.each(["", "C", "CET", "CET-1CEST,M3", "CET-1CEST,M3.5.0", "CET-1CEST,x,y", "<CET-1", "CET-1 ", "\0", "CET--1"])(
    "no rule: %p",
    (rule) => {
      expect(localTimeOfRule(rule, 0)).toBeUndefined();
    },
  );
});

describe("what is no zone file", () => {
  const valid = Buffer.alloc(44 + 6 + 4);
  valid.write("TZif");
  valid.writeUInt32BE(1, 36);
  valid.writeUInt32BE(4, 40);
  valid.writeInt32BE(3600, 44);
  valid.write("ABC\0", 50);

  test("version 1 with one type", () => {
    expect(localTimeOfFile(valid, 5)).toEqual({ zone: "ABC", offset: 3600 });
  });

  test("each beginning of a zone file is refused or understood, never an exception", () => {
    const whole = existsSync(`${ZONES}/Europe/Berlin`) ? readFileSync(`${ZONES}/Europe/Berlin`) : valid;
    for (let length = 0; length < whole.byteLength; length++) localTimeOfFile(whole.subarray(0, length), 1_700_000_000);
    expect(localTimeOfFile(whole.subarray(0, 43), 0)).toBeUndefined();
  });

  test.each([
    ["empty", Buffer.alloc(0)],
    ["text", Buffer.from("UTC0\n".repeat(20))],
    ["sizes beyond the end", Buffer.concat([Buffer.from("TZif2"), Buffer.alloc(15), Buffer.alloc(24, 0xff)])],
  ])("%s", (_name, file) => {
    expect(localTimeOfFile(file, 0)).toBeUndefined();
  });
});

describe("the variable TZ", () => {
  test.each([
    ["", "UTC", 0],
    [":", "UTC", 0],
    ["/nonexistent", "UTC", 0],
    ["No/Such_Zone", "UTC", 0],
    ["../../../etc/passwd", "UTC", 0],
    ["XYZ-4", "XYZ", 14_400],
  ])("%p", (variable, zone, offset) => {
    expect(localTime(0, variable)).toEqual({ zone, offset });
  });
});
