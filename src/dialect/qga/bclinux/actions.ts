/** What BCLinux hosts let the guest do: run a check, change its name and its administrator's password. */
import { constants } from "node:os";
import * as v from "valibot";
import { commandOutput } from "../../../capability/command-output.ts";
import { type Guest, ProgramError, SystemError } from "../../../guest.ts";
import { command } from "../command.ts";
import { QgaError } from "../errors.ts";
import { int64, string, struct } from "../wire.ts";

export const userCheck = command({
  name: "guest-user-check",
  since: "bclinux",
  summary:
    "Runs a command by the shell and returns, under the given name, its standard output without the last newline.",
  arguments: { "command-name": string, command: string },
  returns: v.record(string, string),
  supported: ({ interpreters }) => interpreters !== undefined,
  run: async ({ "command-name": name, command: line }, { guest, config }) => {
    if (line.includes("\0")) throw new QgaError("the command contains a NUL character");
    const limits = { seconds: config.commandTimeout, mebibytes: config.commandOutput };
    const { text, status } = await commandOutput(guest, guest.interpreters!.shell(line), limits);
    if (status.timedOut) throw new QgaError(`the command was killed after ${config.commandTimeout} seconds`);
    return { [name]: text };
  },
});

const { EINVAL, EIO } = constants.errno;

/** The error number of a failure; EIO for what has none. */
function errorNumber(failure: SystemError): number {
  const found = Object.entries(constants.errno).find(([code]) => code === failure.code);
  return found?.[1] ?? EIO;
}

/** Does it, and words the outcome as these hosts expect it: 0 or an error number. */
async function errnumOf(action: () => void | Promise<void>): Promise<{ errnum: number }> {
  try {
    await action();
    return { errnum: 0 };
  } catch (error) {
    if (error instanceof SystemError) return { errnum: errorNumber(error) };
    if (!(error instanceof ProgramError)) throw error;
    return { errnum: error.failure instanceof SystemError ? errorNumber(error.failure) : EIO };
  }
}

/** What fits a host name file and a prompt; which letters a name may have is left to the system. */
const HOST_NAME = /^[^\s\p{Cc}/]+$/u;

export const changeHostname = command({
  name: "change-hostname",
  since: "bclinux",
  summary: "Sets the host name, now and for the next boots; returns 0 or an error number.",
  arguments: { "new-hostname": string },
  returns: struct({ errnum: int64 }),
  supported: ({ accounts }) => accounts !== undefined,
  run: ({ "new-hostname": name }, { guest }) =>
    HOST_NAME.test(name) ? errnumOf(() => guest.accounts!.setHostName(name)) : { errnum: EINVAL },
});

const ADMINISTRATORS: Readonly<Record<Guest["os"], string>> = { linux: "root", windows: "Administrator" };
const PASSWORD = /^[^\0\n]+$/;

export const changePassword = command({
  name: "change-password",
  since: "bclinux",
  summary: "Sets the password of root (on Windows, of Administrator); returns 0 or an error number.",
  arguments: { "new-password": string },
  returns: struct({ errnum: int64 }),
  supported: ({ accounts }) => accounts !== undefined,
  run: ({ "new-password": password }, { guest }) =>
    PASSWORD.test(password)
      ? errnumOf(() => guest.accounts!.setPassword(ADMINISTRATORS[guest.os], Buffer.from(password), false))
      : { errnum: EINVAL },
});
