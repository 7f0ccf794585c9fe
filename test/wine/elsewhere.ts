/** Recorded requests whose answer on Windows has to be another one than on Linux, and why. */

const LINUX_ONLY = "qemu-ga has it on Linux only";
const TEXT = "the text of the error is Windows'";
const PROGRAM = "the program is one of Linux";

const REASONS: readonly (readonly [RegExp, string])[] = [
  [/^guest-info( empty arguments)?$/, "another list of commands, as with qemu-ga"],
  [/^guest-suspend-hybrid /, LINUX_ONLY],
  [/^guest-set-vcpus /, LINUX_ONLY],
  [/^guest-(get|set)-memory-block/, LINUX_ONLY],
  [/^guest-get-(diskstats|cpustats|load)( |$)/, LINUX_ONLY],
  [/^guest-get-devices( |$)/, "qemu-ga has it on Windows only"],
  [/^open (missing|empty path)$/, TEXT],
  [/^open dir$/, "Windows opens no directories as files"],
  [/^read (again )?in (w|wb|a|ab)$/, TEXT],
  [/^write in (r|rb)$/, TEXT],
  [/^seek (-1 set|-100 cur)$/, TEXT],
  [/^exec (missing|empty|dir)$/, TEXT],
  [/^exec (true|false|echo|no capture|capture .*|input|env|env bad|exit 3|killed|17 MB|non utf8)$/, PROGRAM],
  [/^keys (of unknown user|empty user)$/, TEXT],
];

/** These are wrong before anybody looks at the command's name. */
const WRONG_ANYWHERE = /arguments as list$/;

/** Why a case is not the same on Windows; undefined when it is. */
export function elsewhere(name: string): string | undefined {
  if (WRONG_ANYWHERE.test(name)) return undefined;
  return REASONS.find(([pattern]) => pattern.test(name))?.[1];
}
