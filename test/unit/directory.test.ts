import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { namesIn } from "../../platform/linux/directory.ts";

test("many names, and odd ones", () => {
  const folder = mkdtempSync("/tmp/inguest-directory-");
  try {
    expect(namesIn(folder)).toEqual([]);
    const names = [
      ...Array.from({ length: 2000 }, (_, index) => `name-${index}-${"x".repeat(index % 200)}`),
      ".hidden",
      "a\nb",
      "\u00fc",
    ];
    for (const name of names) writeFileSync(`${folder}/${name}`, "");
    expect(namesIn(folder)?.toSorted()).toEqual(names.toSorted());
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a directory of the kernel's", () => {
  expect(namesIn("/proc/self/task")).toEqual(readdirSync("/proc/self/task"));
});

test.each(["/nonexistent", "/etc/passwd", ""])("none: %j", (path) => {
  expect(namesIn(path)).toBeUndefined();
});
