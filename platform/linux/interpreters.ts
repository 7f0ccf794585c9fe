/** What runs commands and scripts. */
import type { Interpreters } from "../../src/guest.ts";
import { findProgram } from "./programs.ts";

const SHELL = "/bin/sh";
/** As PEP 394 names them; an old guest may have only version 2. */
const PYTHONS = ["python3", "python", "python2", "/usr/libexec/platform-python"];

export const interpreters: Interpreters = {
  shell: (command) => [SHELL, "-c", command],
  script(language, path) {
    const program = language === "sh" ? SHELL : findProgram(...PYTHONS);
    return program === undefined ? undefined : [program, path];
  },
};
