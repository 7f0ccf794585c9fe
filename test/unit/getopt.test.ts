import { expect, test } from "bun:test";
import { type OptionForm, parseCommandLine } from "../../src/config/getopt.ts";

const OPTIONS: readonly OptionForm[] = [
  { long: "verbose", short: "v", argument: "none" },
  { long: "version", short: "V", argument: "none" },
  { long: "path", short: "p", argument: "required" },
  { long: "pidfile", short: "f", argument: "required" },
  { long: "hook", short: "F", argument: "optional" },
  { long: "block", argument: "required", formerly: ["blacklist"] },
  { long: "path-extra", argument: "none", extension: true },
  { long: "hook-timeout", argument: "required", extension: true },
];

/** What was found, as `long` or `long=value`. */
function read(...args: string[]): string[] {
  const { found, operands, error } = parseCommandLine(args, OPTIONS);
  const options = found.map(({ option, value }) => (value === undefined ? option.long : `${option.long}=${value}`));
  return [...options, ...operands.map((operand) => `(${operand})`), ...(error === undefined ? [] : [`!${error}`])];
}

test.each<[args: string[], expected: string[]]>([
  [[], []],
  [["-v"], ["verbose"]],
  [["-vV"], ["verbose", "version"]],
  [["-p", "x"], ["path=x"]],
  [["-px"], ["path=x"]],
  [["-vpx"], ["verbose", "path=x"]],
  [
    ["-vp", "x"],
    ["verbose", "path=x"],
  ],
  [["-p", "-v"], ["path=-v"]],
  [["-p", "--"], ["path=--"]],
  [["-p", ""], ["path="]],
  [["-p=x"], ["path==x"]],
  [["-F"], ["hook"]],
  [
    ["-F", "x"],
    ["hook", "(x)"],
  ],
  [["-Fx"], ["hook=x"]],
  [["-Fv"], ["hook=v"]],
  [["--hook"], ["hook"]],
  [
    ["--hook", "x"],
    ["hook", "(x)"],
  ],
  [["--hook=x"], ["hook=x"]],
  [["--hook="], ["hook="]],
  [["--path", "x"], ["path=x"]],
  [["--path=x=y"], ["path=x=y"]],
  [["--path", "--verbose"], ["path=--verbose"]],
  [["--pat=x"], ["path=x"]],
  [["--pi", "x"], ["pidfile=x"]],
  [["--ho=x"], ["hook=x"]],
  [["--hook-t=5"], ["hook-timeout=5"]],
  [["--blacklist=a"], ["block=a"]],
  [["--bl=a"], ["block=a"]],
  [
    ["a", "-v", "b"],
    ["verbose", "(a)", "(b)"],
  ],
  [["-"], ["(-)"]],
  [
    ["--", "-v", "--"],
    ["(-v)", "(--)"],
  ],
  [
    ["-v", "--", "-v"],
    ["verbose", "(-v)"],
  ],
  [["-x"], ["!invalid option -- 'x'"]],
  [["-vx"], ["verbose", "!invalid option -- 'x'"]],
  [["-v-"], ["verbose", "!invalid option -- '-'"]],
  [["-p"], ["!option requires an argument -- 'p'"]],
  [["--path"], ["!option '--path' requires an argument"]],
  [["--verbose=1"], ["!option '--verbose' doesn't allow an argument"]],
  [["--nope=1"], ["!unrecognized option '--nope=1'"]],
  [["--ver"], ["!option '--ver' is ambiguous; possibilities: '--verbose' '--version'"]],
  [["--p=1"], ["!option '--p=1' is ambiguous; possibilities: '--path' '--pidfile'"]],
  [
    ["-v", "--nope", "-V"],
    ["verbose", "!unrecognized option '--nope'"],
  ],
])("%j", (args, expected) => {
  expect(read(...args)).toEqual(expected);
});

test("an option knows how it was spelled", () => {
  const { found } = parseCommandLine(["--pat=x", "-vpx"], OPTIONS);
  expect(found.map(({ spelling }) => spelling)).toEqual(["--pat", "-v", "-p"]);
});
