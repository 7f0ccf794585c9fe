/**
 * A place for what is slow to fetch or make, kept between runs: `$INGUEST_TEST_CACHE`, else `inguest-test` in the user's
 * cache folder. Not under node_modules, which `npm ci` empties.
 */

import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

const root =
  process.env.INGUEST_TEST_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "inguest-test");

/** What this process is making, by key. */
const inTheMaking = new Map<string, Promise<string>>();

/**
 * Path of the cached folder `key`, made by `fill` if it is not there yet.
 * It is filled under another name and renamed when complete, so that neither an interrupted run nor a second test
 * process leaves half a folder.
 */
export function cachedFolder(key: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const begun = inTheMaking.get(key) ?? makeFolder(join(root, key), fill).finally(() => inTheMaking.delete(key));
  inTheMaking.set(key, begun);
  return begun;
}

async function makeFolder(folder: string, fill: (folder: string) => Promise<void>): Promise<string> {
  if (existsSync(folder)) return folder;
  const draft = `${folder}.${process.pid}`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true });
  try {
    await fill(draft);
    await rename(draft, folder).catch((error: unknown) => {
      // Another process was faster; its copy is as good.
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return folder;
}
