/** Command lines: Windows hands a program one string, which the program cuts up itself. */

/** An argument as CommandLineToArgvW and the C runtimes read it back: backslashes count only before a quote. */
function quoted(argument: string): string {
  if (argument !== "" && !/[ \t\n\v"]/.test(argument)) return argument;
  return `"${argument.replace(/(\\*)("|$)/g, (_, slashes: string, quote: string) => slashes + slashes + (quote && `\\${quote}`))}"`;
}

/** The string that is read back as these arguments. The program itself is always in quotes. */
export const commandLine = ([program = "", ...args]: readonly string[]): string =>
  [`"${program}"`, ...args.map(quoted)].join(" ");

/** cmd.exe would take these in an argument for commands of its own, whatever is around them. */
export const dangerousForBatch = (argument: string): boolean => /["%\r\n]/.test(argument);

/**
 * With `/s /c COMMAND` cmd.exe takes off the outer quotes and runs the rest as it is; it knows no backslash that escapes.
 * @returns undefined for another way to call it
 */
export function shellCommandLine(words: readonly string[]): string | undefined {
  const command = words.at(-1);
  if (command === undefined || words.slice(-3, -1).join(" ").toLowerCase() !== "/s /c") return undefined;
  return `${commandLine(words.slice(0, -1))} "${command}"`;
}

/** The string with which cmd.exe runs a batch file: everything in quotes, the whole in quotes once more. */
export const batchCommandLine = (shell: string, file: string, args: readonly string[]): string =>
  `"${shell}" /d /s /c "${[file, ...args].map((word) => `"${word}"`).join(" ")}"`;
