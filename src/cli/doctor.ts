/** `inguest doctor`: why hosts get no answer, and what to do about it. */
import { isatty } from "node:tty";
import { type Config, ConfigError } from "../config/config.ts";
import type { DescribedOption } from "../config/help.ts";
import { readInvocation } from "../config/invocation.ts";
import { KNOWN_PORTS } from "../config/known-ports.ts";
import { OPTIONS } from "../config/options.ts";
import { AttemptsError, type Finding, type Guest, type Patient } from "../guest.ts";
import { freezeMark } from "../state.ts";
import { print } from "./print.ts";
import { EXIT, type Given, runSystemCommand, type SystemCommand } from "./system-work.ts";

const DOCTOR_OPTIONS = {
  json: { long: "json", short: "j", argument: "none", help: "print one JSON value" },
  config: {
    long: "config",
    short: "c",
    argument: "required",
    placeholder: "PATH",
    help: "the config file, when the agent does not have the usual one",
  },
} as const satisfies Readonly<Record<string, DescribedOption>>;

type DoctorOption = (typeof DOCTOR_OPTIONS)[keyof typeof DOCTOR_OPTIONS];

const STANDARD_OUTPUT = 1;
const COLOURS: Readonly<Record<Finding["verdict"], number>> = { ok: 32, warn: 33, fail: 31 };

const CHANNEL_ADVICE =
  "shut the VM down and give it the channel: libvirt <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>, Proxmox VE Options > QEMU Guest Agent, OpenStack image property hw_qemu_guest_agent=yes";

/** The settings as the service has them. @throws ConfigError */
function readConfig({ files, paths, ports, doctor }: Guest, path: string | undefined): Config {
  const started = doctor?.startArguments?.() ?? [`--${OPTIONS.qemuGaSettings.long}`];
  const words = [...started, ...(path === undefined ? [] : [`--config=${path}`])];
  const invocation = readInvocation(words, process.env, files, () => ({
    paths,
    ports: ports.defaults,
    activated: undefined,
  }));
  if (!("config" in invocation)) throw new ConfigError("the settings ask for something else than to run");
  return invocation.config;
}

function patientOf(config: Config): Patient {
  const { channels, fsfreezeHook, statedir } = config;
  const devices = channels.filter(({ method }) => method === "virtio-serial" || method === "isa-serial");
  return {
    devices: devices.flatMap(({ path }) => path ?? []),
    knownPorts: channels.length > 0 ? [] : KNOWN_PORTS.map(({ name }) => name),
    fsfreezeHook,
    statedir,
    freezeMark: freezeMark(statedir),
    channelAdvice: CHANNEL_ADVICE,
  };
}

function describeConfig({ channels, blockRpcs, allowRpcs }: Config): string {
  const ways =
    channels.length === 0
      ? "every known port is served"
      : channels.map(({ method, path }) => `${method} ${path ?? ""}`.trim()).join(", ");
  const policy = [
    ...(blockRpcs.length > 0 ? [`${blockRpcs.length} commands blocked`] : []),
    ...(allowRpcs.length > 0 ? [`${allowRpcs.length} commands allowed`] : []),
  ];
  return [ways, ...policy].join("; ");
}

function examine(guest: Guest, path: string | undefined): readonly Finding[] {
  const { doctor } = guest;
  if (doctor === undefined) throw new AttemptsError([]);
  try {
    const config = readConfig(guest, path);
    return [{ check: "config", verdict: "ok", text: describeConfig(config) }, ...doctor.examine(patientOf(config))];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return [
      { check: "config", verdict: "fail", text: error.message, fix: "correct it; the agent does not start before" },
    ];
  }
}

function render({ check, verdict, text, fix }: Finding, colourful: boolean): string {
  const word = verdict.padEnd(4);
  const mark = colourful ? `\x1b[${COLOURS[verdict]}m${word}\x1b[0m` : word;
  const hint = fix === undefined ? "" : `${" ".repeat(18)}-> ${fix}\n`;
  return `${mark}  ${check.padEnd(12)}${text}\n${hint}`;
}

async function perform(guest: Guest, { has, value }: Given<DoctorOption>): Promise<number> {
  const findings = examine(guest, value(DOCTOR_OPTIONS.config));
  if (has(DOCTOR_OPTIONS.json)) print(`${JSON.stringify(findings)}\n`);
  else for (const finding of findings) print(render(finding, isatty(STANDARD_OUTPUT)));
  return findings.some(({ verdict }) => verdict === "fail") ? EXIT.failure : EXIT.success;
}

export const DOCTOR: SystemCommand<DoctorOption> = {
  name: "doctor",
  about: `Usage: inguest doctor [OPTION...]
Checks in this guest all that an answer to its host needs, and tells what to do where
something is wrong.
`,
  options: Object.values(DOCTOR_OPTIONS),
  perform,
};

/** @returns the exit code: 0 when nothing fails, 1 when something does, 2 for a wrong command line */
export const doctor = (guest: Guest, args: readonly string[]): Promise<number> => runSystemCommand(guest, DOCTOR, args);
