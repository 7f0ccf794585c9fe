/** The Windows guest: every facet of it that an agent can use. */
import type { Guest } from "../../src/guest.ts";
import { accounts } from "./accounts.ts";
import { applications } from "./applications.ts";
import { clock } from "./clock.ts";
import { devices } from "./devices.ts";
import { files } from "./files.ts";
import { identity } from "./identity.ts";
import { interpreters } from "./interpreters.ts";
import { logs } from "./logs.ts";
import { loop } from "./loop.ts";
import { network } from "./network.ts";
import { paths } from "./paths.ts";
import { ports } from "./ports.ts";
import { power } from "./power.ts";
import { processes } from "./processes.ts";
import { daemon } from "./service.ts";
import { services } from "./service-manager.ts";
import { sessions } from "./session-control.ts";
import { statistics } from "./statistics.ts";
import { storage } from "./storage.ts";
import { vcpus } from "./vcpus.ts";
import { freezer } from "./vss.ts";

export const guest: Guest = {
  os: "windows",
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
  storage,
  freezer,
  vcpus,
  power,
  accounts,
  devices,
  interpreters,
  sessions,
  applications,
  services,
  get doctor() {
    return (require("./doctor/doctor.ts") as typeof import("./doctor/doctor.ts")).doctor;
  },
};
