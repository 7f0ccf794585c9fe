/** The agent: the guest, what was configured, and what lives from one request to the next. */
import type { Execs } from "./capability/exec.ts";
import type { FileHandles } from "./capability/files.ts";
import type { Freeze } from "./capability/fsfreeze.ts";
import type { Config } from "./config/config.ts";
import type { Guest } from "./guest.ts";
import type { Log } from "./log.ts";

export interface Agent {
  readonly guest: Guest;
  readonly config: Config;
  readonly log: Log;
  readonly files: FileHandles;
  readonly execs: Execs;
  readonly freeze: Freeze;
}
