/** The distribution's version with all its parts: os-release(5) has often only the first. */
import { textOf } from "./whole-file.ts";

/** `CentOS Linux release 7.1.1503 (Core)`; Debian, Alpine: a number alone, or the name of what will be released. */
const FILES: readonly { readonly path: string; readonly version: RegExp }[] = [
  { path: "/etc/redhat-release", version: /\brelease ([\d.]+)/ },
  { path: "/etc/alpine-release", version: /^([\d.]+)/ },
  { path: "/etc/debian_version", version: /^([\d.]+)$/m },
];

export function releaseVersion(): string | undefined {
  for (const { path, version } of FILES) {
    const found = version.exec(textOf(path) ?? "")?.[1];
    if (found !== undefined) return found;
  }
  return undefined;
}
