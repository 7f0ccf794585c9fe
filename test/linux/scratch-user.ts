/** A user account of this machine that lives as long as a test. */

import { rm } from "node:fs/promises";
import type { Availability } from "../lab/apt.ts";
import { mustRun, run } from "../lab/process.ts";

export interface ScratchUser extends AsyncDisposable {
  name: string;
  uid: number;
  gid: number;
  home: string;
}

/** Whether accounts can be made here. */
export const scratchUsers: Availability =
  process.getuid?.() === 0 && Bun.which("useradd") !== null
    ? { available: true }
    : { available: false, reason: "not root, or no useradd" };

/** Makes an account with an empty home directory of its own. */
export async function makeUser(name: string): Promise<ScratchUser> {
  const home = `/home/${name}`;
  await run(["userdel", "-f", name]);
  await rm(home, { recursive: true, force: true });
  // No skeleton files: the directory is to be as empty as `mkdir` makes it.
  await mustRun(["useradd", "--create-home", "--skel", "/nonexistent", "--home-dir", home, "--shell", "/bin/sh", name]);
  const idOf = async (option: string): Promise<number> => Number(await mustRun(["id", option, name]));
  const [uid, gid] = [await idOf("-u"), await idOf("-g")];
  return {
    name,
    uid,
    gid,
    home,
    async [Symbol.asyncDispose]() {
      await run(["userdel", "-f", name]);
      await rm(home, { recursive: true, force: true });
    },
  };
}
