/** The oVirt agent's own file of settings, `/etc/ovirt-guest-agent.conf`, as Python's ConfigParser reads it. */
import * as v from "valibot";
import { PSEUDO_FILESYSTEMS } from "../../capability/mount-usage.ts";
import { type Guest, SystemError } from "../../guest.ts";
import type { Log } from "../../log.ts";
import { isKeyOf } from "../../objects.ts";

const words = v.pipe(
  v.string(),
  v.transform((text) => text.split(/\s+/).filter((word) => word !== "")),
);
const seconds = v.pipe(
  v.string(),
  v.regex(/^\d{1,9}$/, "is not a number of seconds"),
  v.transform(Number),
  v.minValue(1),
);
const BOOLEANS: Readonly<Record<string, boolean>> = {
  "1": true,
  yes: true,
  true: true,
  on: true,
  "0": false,
  no: false,
  false: false,
  off: false,
};
const flag = v.pipe(
  v.string(),
  v.transform((text) => BOOLEANS[text.toLowerCase()]),
  v.boolean("is not a boolean"),
);

/** Sections, and in them keys with the types of their values. Other keys and sections are the old agent's own affair. */
const SECTIONS = {
  general: {
    heart_beat_rate: seconds,
    report_user_rate: seconds,
    report_num_cpu_rate: seconds,
    report_application_rate: seconds,
    report_disk_usage: seconds,
    applications_list: words,
    ignored_fs: words,
    ignore_zero_size_fs: flag,
    ignored_nics: words,
  },
  virtio: { device_prefix: v.string() },
};

type Values<Entries extends v.ObjectEntries> = { readonly [Key in keyof Entries]: v.InferOutput<Entries[Key]> };

/** Rates are seconds between two messages. */
export type Settings = Values<typeof SECTIONS.general> & Partial<Values<typeof SECTIONS.virtio>>;

export type Rate = Extract<keyof Settings, `${string}_rate` | "report_disk_usage">;

const APPLICATIONS =
  "kernel kernel-desktop kernel-default kernel-trace kernel-vanilla kernel-debug kernel-ec2 kernel-xen kernel-ppc64 " +
  "linux-image ovirt-guest-agent ovirt-guest-agent-common qemu-guest-agent inguest cloud-init xorg-x11-drv-qxl " +
  "xserver-xorg-video-qxl xf86-video-qxl";

const DEFAULTS: Settings = {
  heart_beat_rate: 5,
  report_user_rate: 10,
  report_num_cpu_rate: 60,
  report_application_rate: 120,
  report_disk_usage: 300,
  applications_list: APPLICATIONS.split(" "),
  ignored_fs: [...PSEUDO_FILESYSTEMS],
  ignore_zero_size_fs: true,
  ignored_nics: ["docker0"],
};

interface Entry {
  readonly section: string;
  readonly key: string;
  readonly value: string;
}

/** The entries in the order of the file. A line that begins with a blank goes on with the value before it. */
export function parseIni(text: string): Entry[] {
  const entries: { section: string; key: string; value: string }[] = [];
  let section = "";
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*(?:[#;].*)?$/.test(line) || /^rem\b/i.test(line)) continue;
    const last = entries.at(-1);
    if (/^\s/.test(line) && last !== undefined && last.section === section) {
      last.value += `\n${line.trim()}`;
      continue;
    }
    const header = /^\[([^\]]+)\]/.exec(line)?.[1];
    if (header !== undefined) {
      section = header;
      continue;
    }
    const [, key, value] = /^([^:=\s][^:=]*?)\s*[:=]\s*(.*)$/.exec(line) ?? [];
    if (key === undefined || value === undefined) continue;
    entries.push({ section, key: key.toLowerCase(), value: value.replace(/\s;.*$/, "").trim() });
  }
  return entries;
}

/** The settings of a file over the defaults; what cannot be used is told to `complain`, and its default stays. */
export function readSettings(text: string, complain: (text: string) => void): Settings {
  const found: Record<string, unknown> = {};
  for (const { section, key, value } of parseIni(text)) {
    const schemas: Readonly<Record<string, v.GenericSchema<string, unknown>>> = isKeyOf(section, SECTIONS)
      ? SECTIONS[section]
      : {};
    const schema = Object.hasOwn(schemas, key) ? schemas[key] : undefined;
    if (schema === undefined) continue;
    const { success, output } = v.safeParse(schema, value);
    if (success) found[key] = output;
    else complain(`[${section}] ${key}: '${value}' cannot be used`);
  }
  return { ...DEFAULTS, ...found };
}

/** The guest's settings; the defaults when it has no such file. */
export function loadSettings({ files, paths }: Guest, log: Log): Settings {
  const path = paths.ovirtConfigFile;
  const complain = (text: string): void => log.write("warning", `${path}: ${text}`);
  let text = "";
  try {
    if (path !== undefined && files.exists(path)) text = files.readText(path);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    complain(error.reason);
  }
  return readSettings(text, complain);
}
