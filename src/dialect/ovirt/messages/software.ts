/** What is installed and what runs in containers. */
import * as v from "valibot";
import type { InstalledPackage } from "../../../guest.ts";
import { message, text, texts } from "../message.ts";

const packageText = ({ name, version, release }: InstalledPackage): string =>
  [name, version, ...(release === undefined ? [] : [release])].join("-");

export const applications = message({
  name: "applications",
  version: 0,
  summary: "Those packages of `applications_list` that are installed, as name-version, with rpm name-version-release.",
  content: { applications: texts },
  atStart: true,
  onRefresh: true,
  rate: "report_application_rate",
  make: ({ guest, settings }) => ({
    applications: (guest.applications?.installed(settings.applications_list) ?? []).map(packageText),
  }),
});

export const containers = message({
  name: "containers",
  version: 3,
  summary: "All containers of Docker and Podman, running or not.",
  content: { list: v.array(v.object({ id: text, names: texts, image: text, command: text, status: text })) },
  atStart: true,
  onRefresh: true,
  rate: "report_application_rate",
  make: async ({ guest }) => ({
    list: ((await guest.containers?.list()) ?? []).map(({ names, ...others }) => ({ ...others, names: [...names] })),
  }),
});
