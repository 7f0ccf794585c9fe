/** The table of commands names each command itself, so that none need be loaded to be found. */
import { expect, test } from "bun:test";
import { declaredCommand, declaredCommands } from "../../src/dialect/qga/table.ts";

for (const dialect of ["qga", "bclinux"] as const) {
  test(`each command of ${dialect} is found under its own name`, () => {
    const names = declaredCommands(dialect).map(({ name }) => name);
    expect(names.length).toBeGreaterThan(40);
    expect(names.map((name) => declaredCommand(name, dialect)?.name)).toEqual(names);
  });
}

test("what is no command is not found", () => {
  expect(declaredCommand("guest-nothing")).toBeUndefined();
  expect(declaredCommand("constructor")).toBeUndefined();
});
