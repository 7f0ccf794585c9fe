/** The rule table that all dialects share. */
import { describe, expect, test } from "bun:test";
import { OPTIONS } from "../../src/config/options.ts";
import { GUARDED, type Origin, refusal } from "../../src/policy.ts";

const nothingSaid = { blockRpcs: [], allowRpcs: [], enableRpcs: [] };
const qga: Origin = { dialect: "qga", portName: "org.qemu.guest_agent.0" };
const eayun: Origin = { dialect: "eayun", portName: "com.eayun.eayunstack.0" };
const socket: Origin = { dialect: "eayun" };

describe("by default", () => {
  test.each<[call: string, origin: Origin, allowed: boolean]>([
    ["guest-exec", qga, true],
    ["guest-ping", qga, true],
    ["execute_command", eayun, true],
    ["execute_script", eayun, true],
    ["execute_command", socket, false],
    ["execute_script", { dialect: "eayun", portName: "org.qemu.guest_agent.0" }, false],
    ["guest-user-check", qga, false],
    ["change-hostname", qga, false],
    ["change-password", qga, false],
    ["login", { dialect: "ovirt" }, false],
    ["shutdown", { dialect: "ovirt" }, true],
    ["toString", qga, true],
  ])("%s from %j: %p", (call, origin, allowed) => {
    expect(refusal(call, nothingSaid, origin) === undefined).toBe(allowed);
  });
});

test("enable-rpcs switches on each that is off", () => {
  for (const call of Object.keys(GUARDED)) {
    expect(refusal(call, { ...nothingSaid, enableRpcs: [call] }, socket)).toBeUndefined();
    expect(refusal(call, { ...nothingSaid, enableRpcs: ["other"] }, socket)).toContain("enable-rpcs");
  }
});

test("the help names each that is off", () => {
  for (const call of Object.keys(GUARDED)) expect(OPTIONS.enableRpcs.help).toContain(call);
});

test("block-rpcs wins over everything", () => {
  const lists = { blockRpcs: ["execute_command"], allowRpcs: ["execute_command"], enableRpcs: ["execute_command"] };
  expect(refusal("execute_command", lists, eayun)).toBe("blocked by block-rpcs");
});

test("allow-rpcs refuses what it does not name, and allows what it names", () => {
  const lists = { ...nothingSaid, allowRpcs: ["login"] };
  expect(refusal("login", lists, socket)).toBeUndefined();
  expect(refusal("execute_command", lists, eayun)).toBe("not in allow-rpcs");
});
