/** The Linux guest: every facet of it that an agent can use. */
import type { Guest } from "../../src/guest.ts";
import { accounts } from "./accounts.ts";
import { applications } from "./applications.ts";
import { clock } from "./clock.ts";
import { containers } from "./containers.ts";
import { daemon } from "./daemon.ts";
import { files } from "./files.ts";
import { freezer } from "./fsfreeze.ts";
import { identity } from "./identity.ts";
import { interpreters } from "./interpreters.ts";
import { logs } from "./logs.ts";
import { loop } from "./loop.ts";
import { linuxMemoryBlocks } from "./memory-blocks.ts";
import { network } from "./network.ts";
import { paths } from "./paths.ts";
import { ports } from "./ports.ts";
import { power } from "./power.ts";
import { processes } from "./processes.ts";
import { sessions } from "./session-control.ts";
import { statistics } from "./statistics.ts";
import { linuxStorage } from "./storage.ts";
import { linuxVcpus } from "./vcpus.ts";

export const guest: Guest = {
  os: "linux",
  loop,
  ports,
  processes,
  files,
  clock,
  paths,
  logs,
  daemon,
  identity,
  network,
  statistics,
  storage: linuxStorage(loop),
  freezer,
  vcpus: linuxVcpus(),
  memoryBlocks: linuxMemoryBlocks(),
  power,
  accounts,
  interpreters,
  sessions,
  applications,
  containers,
};
