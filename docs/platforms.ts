/** The platforms' guests, whatever system this is: to see what each can do, not to do it. */
import { join } from "node:path";
import type { Guest } from "../src/guest.ts";

const WINDOWS = /platform\/windows\/.*\.ts$/;

/** Answers to everything with itself. */
const anything: unknown = new Proxy(() => {}, { get: () => anything });

/** A guest that has each facet which its platform knows, also where this machine lacks what the facet needs. */
const complete = (guest: Guest): Guest =>
  new Proxy(guest, { get: (facets, name) => Reflect.get(facets, name) ?? (name in facets ? anything : undefined) });

async function windowsGuest(): Promise<Guest> {
  await Bun.plugin({
    name: "windows without its libraries",
    setup(build) {
      build.onLoad({ filter: WINDOWS }, async ({ path }) => {
        const text = await Bun.file(path).text();
        return {
          loader: "ts",
          contents: text.replace('"bun:ffi"', JSON.stringify(join(import.meta.dir, "no-ffi.ts"))),
        };
      });
    },
  });
  return (await import("../platform/windows/guest.ts")).guest;
}

/** The guests by the name that the reference gives their system. */
export const platforms: Readonly<Record<string, Guest>> = {
  Linux: complete((await import("../platform/linux/guest.ts")).guest),
  Windows: complete(await windowsGuest()),
};
