/** guest-ssh-*: who may log in over SSH. */
import { addKeys, listKeys, removeKeys } from "../../../capability/ssh-keys.ts";
import { type Guest, SystemError } from "../../../guest.ts";
import { command } from "../command.ts";
import { QgaError } from "../errors.ts";
import { boolean, list, optional, string, struct } from "../wire.ts";

const supported = ({ accounts }: Guest): boolean => accounts !== undefined;

/** How errors of each call begin and, for reading, what the library that qemu-ga reads with puts before the reason. */
const WORDINGS: Readonly<Record<string, (subject: string, reason: string) => string>> = {
  getpwnam: (user, reason) => `failed to lookup user '${user}': ${reason}`,
  mkdir: (path, reason) => `failed to create directory '${path}': ${reason}`,
  read: (path, reason) => `failed to read '${path}': Failed to open file \u201c${path}\u201d: ${reason}`,
  write: (path, reason) => `failed to write to '${path}': ${reason}`,
};

function wording<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const text = WORDINGS[error.call];
    throw text === undefined ? error : new QgaError(text(error.subject ?? "", error.reason));
  }
}

/** @throws QgaError when one would not be a line of its own, or a comment */
function checkKeys(keys: readonly string[]): void {
  const bad = keys.find((key) => key.startsWith("#") || /[\n\0]/.test(key));
  if (bad !== undefined) throw new QgaError(`invalid OpenSSH public key: '${bad}'`);
}

export const sshGetAuthorizedKeys = command({
  name: "guest-ssh-get-authorized-keys",
  since: "5.2",
  summary: "Lists the public keys in a user's ~/.ssh/authorized_keys, the last one first.",
  arguments: { username: string },
  returns: struct({ keys: list(string) }),
  supported,
  run: ({ username }, { guest }) => ({ keys: wording(() => listKeys(guest.accounts!, username)) }),
});

export const sshAddAuthorizedKeys = command({
  name: "guest-ssh-add-authorized-keys",
  since: "5.2",
  summary:
    "Adds public keys to a user's ~/.ssh/authorized_keys, or with `reset` puts them in place of all that is there. " +
    "The file and its directory are created when needed. Symbolic links in their place are refused.",
  arguments: { username: string, keys: list(string), reset: optional(boolean) },
  returns: struct({}),
  supported,
  run({ username, keys, reset = false }, { guest }) {
    checkKeys(keys);
    wording(() => addKeys(guest.accounts!, username, keys, reset));
    return {};
  },
});

export const sshRemoveAuthorizedKeys = command({
  name: "guest-ssh-remove-authorized-keys",
  since: "5.2",
  summary: "Removes public keys from a user's ~/.ssh/authorized_keys; keys that are not in it do not matter.",
  arguments: { username: string, keys: list(string) },
  returns: struct({}),
  supported,
  run({ username, keys }, { guest }) {
    checkKeys(keys);
    wording(() => removeKeys(guest.accounts!, username, keys));
    return {};
  },
});
