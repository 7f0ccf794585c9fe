/**
 * The Linux guest: every facet of it that an agent can use. What no agent needs at its start is loaded when it is first
 * asked for: that is most of the code, and start-up time and idle memory count.
 */
import type { Guest } from "../../src/guest.ts";
import { files } from "./files.ts";
import { logs } from "./logs.ts";
import { loop } from "./loop.ts";
import { paths } from "./paths.ts";
import { ports } from "./ports.ts";
import { releaseCode } from "./resident.ts";

export const guest: Guest = {
  os: "linux",
  loop,
  ports,
  get processes() {
    return (require("./processes.ts") as typeof import("./processes.ts")).processes;
  },
  files,
  get clock() {
    return (require("./clock.ts") as typeof import("./clock.ts")).clock;
  },
  paths,
  releaseMemory: releaseCode,
  logs,
  get daemon() {
    return (require("./daemon.ts") as typeof import("./daemon.ts")).daemon;
  },
  get identity() {
    return (require("./identity.ts") as typeof import("./identity.ts")).identity;
  },
  get network() {
    return (require("./network.ts") as typeof import("./network.ts")).network;
  },
  get statistics() {
    return (require("./statistics.ts") as typeof import("./statistics.ts")).statistics;
  },
  get storage() {
    return (require("./storage.ts") as typeof import("./storage.ts")).linuxStorage(loop);
  },
  get freezer() {
    return (require("./fsfreeze.ts") as typeof import("./fsfreeze.ts")).freezer;
  },
  get vcpus() {
    return (require("./vcpus.ts") as typeof import("./vcpus.ts")).linuxVcpus();
  },
  get memoryBlocks() {
    return (require("./memory-blocks.ts") as typeof import("./memory-blocks.ts")).linuxMemoryBlocks();
  },
  get power() {
    return (require("./power.ts") as typeof import("./power.ts")).power;
  },
  get accounts() {
    return (require("./accounts.ts") as typeof import("./accounts.ts")).accounts;
  },
  get interpreters() {
    return (require("./interpreters.ts") as typeof import("./interpreters.ts")).interpreters;
  },
  get sessions() {
    return (require("./session-control.ts") as typeof import("./session-control.ts")).sessions;
  },
  get applications() {
    return (require("./applications.ts") as typeof import("./applications.ts")).applications;
  },
  get containers() {
    return (require("./containers.ts") as typeof import("./containers.ts")).containers;
  },
  get supervisor() {
    if (process.env.NOTIFY_SOCKET === undefined) return undefined;
    return (require("./supervisor.ts") as typeof import("./supervisor.ts")).takeSupervisor();
  },
  get installer() {
    return (require("./install/installer.ts") as typeof import("./install/installer.ts")).installer;
  },
  get doctor() {
    return (require("./doctor/doctor.ts") as typeof import("./doctor/doctor.ts")).doctor;
  },
  get hostLines() {
    return (require("./host-lines.ts") as typeof import("./host-lines.ts")).hostLines;
  },
};
