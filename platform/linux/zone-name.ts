/** The local zone's name in the time zone database. */
import { readlinkSync } from "node:fs";
import { textOf } from "./whole-file.ts";

const IN_DATABASE = /\/zoneinfo\/(?:posix\/|right\/)?(.+)$/;

function linkedName(): string | undefined {
  try {
    return IN_DATABASE.exec(readlinkSync("/etc/localtime"))?.[1];
  } catch {
    return undefined;
  }
}

/** What /etc/localtime leads to, else what Debian, Alpine or old Red Hat have written down; undefined when nothing says it. */
export function zoneName(): string | undefined {
  const named =
    linkedName() ??
    textOf("/etc/timezone")?.trim() ??
    /^ZONE="?([^"\n]+)"?$/m.exec(textOf("/etc/sysconfig/clock") ?? "")?.[1];
  return named === "" ? undefined : named;
}
