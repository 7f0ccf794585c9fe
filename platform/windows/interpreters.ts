/** What runs the commands that a host sends as text. */
import type { Interpreters } from "../../src/guest.ts";

const shell = process.env.ComSpec ?? "C:\\Windows\\System32\\cmd.exe";

export const interpreters: Interpreters = {
  shell: (command) => [shell, "/d", "/s", "/c", command],
  script: () => undefined,
};
