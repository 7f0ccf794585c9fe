/** Every verb of `inguest ctl`, in the order of the help. */
import { cpus } from "./cpus.ts";
import { df } from "./df.ts";
import { exec } from "./exec.ts";
import { freeze, thaw } from "./freeze.ts";
import { info } from "./info.ts";
import { ip } from "./ip.ts";
import { lsCommands } from "./ls-commands.ts";
import { mem } from "./mem.ts";
import { os } from "./os.ts";
import { ping } from "./ping.ts";
import { pull } from "./pull.ts";
import { push } from "./push.ts";
import { raw } from "./raw.ts";
import { users } from "./users.ts";
import type { Verb } from "./verb.ts";

export const VERBS: readonly Verb[] = [
  info,
  ping,
  exec,
  pull,
  push,
  freeze,
  thaw,
  df,
  ip,
  users,
  os,
  cpus,
  mem,
  lsCommands,
  raw,
];
