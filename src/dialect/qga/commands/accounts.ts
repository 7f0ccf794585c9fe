/** guest-set-user-password. */
import { decodeBase64, decodedRoom } from "../../../framing/base64.ts";
import { command } from "../command.ts";
import { QgaError, quotingProgram } from "../errors.ts";
import { boolean, string, struct } from "../wire.ts";

const NUL = 0;
const LINE_FEED = 0x0a;

/** @throws Base64Error, QgaError */
function readPassword(base64: string): Uint8Array {
  const room = Buffer.alloc(decodedRoom(base64.length));
  const password = room.subarray(0, decodeBase64(base64, room));
  // A line of its own, or the end of a string, would set another password than the one that was meant.
  if (password.includes(LINE_FEED) || password.includes(NUL)) {
    throw new QgaError("forbidden characters in raw password");
  }
  return password;
}

export const setUserPassword = command({
  name: "guest-set-user-password",
  since: "2.3",
  summary:
    "Sets a user's password, given as base64 of the password itself, or of what crypt(3) makes of it when `crypted`.",
  arguments: { username: string, password: string, crypted: boolean },
  returns: struct({}),
  supported: ({ accounts }) => accounts !== undefined,
  async run({ username, password, crypted }, { guest }) {
    const secret = readPassword(password);
    if (/[\n:\0]/.test(username)) throw new QgaError("forbidden characters in username");
    await quotingProgram("set user password", guest.accounts!.setPassword(username, secret, crypted));
    return {};
  },
});
