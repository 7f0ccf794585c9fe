/** What `inguest doctor` makes of the facts of a Windows that Wine does not have. */
import { describe, expect, test } from "bun:test";
import { examineAgent } from "../../platform/windows/doctor/agents.ts";
import { examineHook } from "../../platform/windows/doctor/freezing.ts";
import {
  type Attempt,
  type Controller,
  examineDriver,
  examinePorts,
  isController,
} from "../../platform/windows/doctor/ports.ts";
import { examineClock, examinePower, examineState, examineUser } from "../../platform/windows/doctor/system.ts";
import type { ServiceFacts } from "../../platform/windows/services.ts";
import type { Finding, Patient } from "../../src/guest.ts";

const patient: Patient = {
  devices: [],
  knownPorts: ["org.qemu.guest_agent.0", "com.redhat.rhevm.vdsm"],
  statedir: "C:\\state",
  freezeMark: "C:\\state\\frozen",
  channelAdvice: "add a channel",
};
const service: ServiceFacts = {
  state: "running",
  processId: 7,
  ending: undefined,
  start: "auto",
  words: ["C:\\inguest.exe", "-d"],
  restarted: true,
};

const summary = (findings: readonly Finding[]): string =>
  findings.map(({ verdict, text, fix }) => `${verdict} ${text}${fix === undefined ? "" : ` -> ${fix}`}`).join("\n");

describe("the driver", () => {
  const driven: Controller = { service: "VirtioSerial", problem: 0 };
  test.each<[string, readonly Controller[], string]>([
    ["no controller", [], "fail the VM has no virtio-serial controller -> add a channel"],
    ["one that works", [driven, driven], "ok VirtioSerial drives the controller"],
    [
      "one without a driver",
      [driven, { service: undefined, problem: 28 }],
      "fail no driver for the virtio-serial controller -> install vioserial of the virtio-win package: pnputil /add-driver vioser.inf /install",
    ],
    [
      "one whose driver does not start",
      [{ service: "VirtioSerial", problem: 52 }],
      "fail the driver VirtioSerial of the virtio-serial controller does not work: code 52 of the device manager -> install vioserial of the virtio-win package: pnputil /add-driver vioser.inf /install",
    ],
  ])("%s", (_name, controllers, expected) => {
    expect(summary(examineDriver(patient, () => controllers))).toBe(expected);
  });

  test.each<[string, number]>([
    ["\\\\.\\Global\\org.qemu.guest_agent.0", 1],
    ["\\\\.\\COM3", 0],
    ["COM3", 0],
    ["\\\\.\\pipe\\x", 0],
  ])("is needed for %s: %d", (device, findings) => {
    expect(examineDriver({ ...patient, knownPorts: [], devices: [device] }, () => [driven])).toHaveLength(findings);
  });

  test.each<[string, boolean]>([
    ["PCI\\VEN_1AF4&DEV_1003&SUBSYS_00031AF4&REV_00", true],
    ["PCI\\VEN_1AF4&DEV_1043", true],
    ["PCI\\VEN_1AF4&DEV_1000&SUBSYS_00031AF4", false],
    ["USB\\VID_1AF4&DEV_1003", false],
  ])("%s", (id, expected) => {
    expect(isController(id)).toBe(expected);
  });
});

describe("the port", () => {
  const look = (outcome: Attempt["outcome"], served: boolean): string =>
    summary(
      examinePorts(
        { ...patient, devices: ["COM1"] },
        { served, pathOf: (name) => name, attempt: () => ({ outcome, reason: "the reason" }) },
      ),
    );
  test.each<[Attempt["outcome"], boolean, RegExp]>([
    ["opened", false, /^warn COM1 can be opened.*net start inguest$/],
    ["opened", true, /^fail the agent runs, but does not have COM1 open -> /],
    ["taken", false, /^fail COM1 is open in another program/],
    ["taken", true, /^ok COM1 is open, and the agent runs$/],
    ["refused", true, /^warn COM1 cannot be looked at: the reason -> run this as administrator$/],
    ["missing", true, /^fail there is no COM1 -> give the VM a serial port/],
    ["failed", true, /^fail COM1: the reason$/],
  ])("%s, the agent runs: %p", (outcome, served, expected) => {
    expect(look(outcome, served)).toMatch(expected);
  });

  test("that no setting names is any that there is", () => {
    const facts = (there: string) => ({
      served: true,
      pathOf: (name: string) => `X:${name}`,
      attempt: (path: string): Attempt => ({ outcome: path === `X:${there}` ? "taken" : "missing", reason: "" }),
    });
    expect(summary(examinePorts(patient, facts("com.redhat.rhevm.vdsm")))).toBe(
      "ok X:com.redhat.rhevm.vdsm is open, and the agent runs",
    );
    expect(summary(examinePorts(patient, facts("another")))).toBe(
      "fail the VM has no port with a known name (org.qemu.guest_agent.0, com.redhat.rhevm.vdsm) -> add a channel",
    );
  });
});

describe("the service", () => {
  const look = (facts: Partial<ServiceFacts>): string =>
    summary(examineAgent("inguest", { ...service, ...facts }, () => true));
  test.each<[string, Partial<ServiceFacts>, RegExp]>([
    ["runs", {}, /^ok the service inguest runs, process 7$/],
    ["is not started again", { restarted: false }, /\nwarn .* not started again .* -> sc.exe failure inguest reset= /],
    ["may be started again", { restarted: undefined }, /^ok [^\n]*$/],
    [
      "has failed",
      { state: "stopped", ending: "Out of memory" },
      /^warn the service inguest is stopped: Out of memory -> /,
    ],
    ["is disabled", { start: "disabled" }, /\nwarn .*\(disabled\) -> sc.exe config inguest start= auto$/],
  ])("%s", (_name, facts, expected) => {
    expect(look(facts)).toMatch(expected);
  });
});

describe("the rest", () => {
  test("users are told to be administrators", () => {
    expect(summary(examineUser(false))).toMatch(/^warn .*Run as administrator$/);
  });

  test("the hook has to be something that Windows runs", () => {
    expect(summary(examineHook("C:\\hook.sh", () => true))).toMatch(/^fail .*is not a program/);
    expect(summary(examineHook("C:\\hook.BAT", () => true))).toBe("ok C:\\hook.BAT");
    expect(summary(examineHook("C:\\hook.bat", () => false))).toMatch(/^fail there is no C:/);
  });

  test("a time service that is disabled has to be enabled first", () => {
    expect(summary(examineClock({ ...service, state: "stopped", start: "disabled" }))).toMatch(
      /^warn .* is disabled: .* -> sc.exe config W32Time start= auto, then: net start W32Time$/,
    );
  });

  test("a file in the place of the state is in the way", () => {
    expect(summary(examineState("C:\\state", () => "other"))).toMatch(/^fail /);
  });

  test("how it can be suspended", () => {
    expect(summary(examinePower({ ram: true, disk: true }))).toBe("ok can be suspended to RAM and disk");
    expect(summary(examinePower({ ram: false, disk: false }))).toBe("ok the VM cannot be suspended from inside");
    expect(examinePower(undefined)).toEqual([]);
  });
});
