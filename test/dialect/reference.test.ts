/** docs/dialects.md tells of everything that there is. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { KNOWN_PORTS } from "../../src/config/known-ports.ts";
import { INFORMATION } from "../../src/dialect/eayun/operations/information.ts";
import { EAYUN_OPERATIONS } from "../../src/dialect/eayun/table.ts";
import { completion, echo } from "../../src/dialect/ovirt/messages/answers.ts";
import { memoryStats } from "../../src/dialect/ovirt/messages/memory.ts";
import * as sessionMessages from "../../src/dialect/ovirt/messages/session.ts";
import { OVIRT_COMMANDS, REGULAR_MESSAGES } from "../../src/dialect/ovirt/table.ts";
import { GUARDED } from "../../src/policy.ts";

const text = await Bun.file(join(import.meta.dir, "../../docs/dialects.md")).text();

const messages = [...REGULAR_MESSAGES, ...Object.values(sessionMessages), echo, completion, memoryStats];

test.each([
  ...new Set(
    [...messages, ...OVIRT_COMMANDS, ...EAYUN_OPERATIONS, ...KNOWN_PORTS]
      .map(({ name }) => name)
      .concat(Object.keys(INFORMATION), Object.keys(GUARDED)),
  ),
])("%s", (name) => {
  expect(text).toContain(`\`${name}\``);
});

test("messages come from the API version that the reference says", () => {
  for (const { name, version } of messages) {
    const row = text.split("\n").find((line) => line.startsWith("|") && line.split("|")[1]?.includes(`\`${name}\``));
    expect(`${name} ${row?.split("|")[2]?.trim()}`).toBe(`${name} ${version}`);
  }
});
