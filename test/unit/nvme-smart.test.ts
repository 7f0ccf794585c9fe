import { expect, test } from "bun:test";
import { parse } from "valibot";
import { parseHealthPage, readNvmeSmart } from "../../platform/linux/nvme-smart.ts";
import { nvmeSmart, toNvmeSmart } from "../../src/dialect/qga/commands/nvme-smart.ts";
import { toJson } from "../../src/framing/json.ts";

/** A page in which each counter's bytes are its place in the specification's figure, high half plus one. */
function page(): Buffer {
  const bytes = Buffer.alloc(512);
  bytes[0] = 0x1f;
  bytes.writeUInt16LE(323, 1);
  bytes.set([100, 10, 255], 3);
  for (let at = 32; at < 192; at += 16) {
    bytes.writeBigUInt64LE(BigInt(at), at);
    bytes.writeBigUInt64LE(2n ** 64n - BigInt(at), at + 8);
  }
  return bytes;
}

test("every member of the log page is at its place", () => {
  const wire = toNvmeSmart(parseHealthPage(page()));
  const counter = (name: string, at: number) => ({
    [`${name}-lo`]: BigInt(at),
    [`${name}-hi`]: 2n ** 64n - BigInt(at),
  });
  expect<object>(wire).toEqual({
    type: "nvme",
    "critical-warning": 31,
    temperature: 323,
    "available-spare": 100,
    "available-spare-threshold": 10,
    "percentage-used": 255,
    ...counter("data-units-read", 32),
    ...counter("data-units-written", 48),
    ...counter("host-read-commands", 64),
    ...counter("host-write-commands", 80),
    ...counter("controller-busy-time", 96),
    ...counter("power-cycles", 112),
    ...counter("power-on-hours", 128),
    ...counter("unsafe-shutdowns", 144),
    ...counter("media-errors", 160),
    ...counter("number-of-error-log-entries", 176),
  });
  expect(() => parse(nvmeSmart, wire)).not.toThrow();
  expect(toJson(wire)).toContain('"media-errors-hi": 18446744073709551456');
});

test.each(["/dev/null", "/does/not/exist", "/"])("%s has no such page", (path) => {
  expect(readNvmeSmart(path)).toBeUndefined();
});
