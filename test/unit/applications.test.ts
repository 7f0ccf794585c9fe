/** Databases of packages: dpkg and apk as text, rpm in each of its three formats. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { APK, DPKG, packagesIn } from "../../platform/linux/applications.ts";
import { packageOf, RPM_DATABASES, readBerkeleyDb, readNdb, readSqlite } from "../../platform/linux/rpm.ts";
import { describeWith, ensurePackages } from "../lab/apt.ts";
import { mustRun } from "../lab/process.ts";

const dpkg = `Package: kernel-tools
Status: install ok installed
Version: 9

Package: kernel
Status: install ok installed
Architecture: amd64
Version: 1:6.1-2

Package: kernel
Status: install ok installed
Architecture: i386
Version: 1:6.1-2

Package: gone
Status: deinstall ok config-files
Version: 1

Package: half
Status: install ok half-installed
Version: 1

Package: exim4
Status: install ok installed
Provides: mail-transport-agent (= 4), default-mta
Version: 4.96
Description: Version: 3
 Package: not-a-field
`;

test.each<[names: string[], expected: string[]]>([
  [["kernel"], ["kernel 1:6.1-2"]],
  [["mail-transport-agent"], ["mail-transport-agent 4.96"]],
  [
    ["default-mta", "kernel-tools", "exim4"],
    ["default-mta 4.96", "kernel-tools 9", "exim4 4.96"],
  ],
  [["gone", "half", "not-a-field", "mail", "kern", ""], []],
])("dpkg: %j", (names, expected) => {
  expect(packagesIn(Buffer.from(dpkg), DPKG, names).map(({ name, version }) => `${name} ${version}`)).toEqual(expected);
});

test("apk", () => {
  const text = "C:Q1x\nP:musl\nV:1.2.5-r0\np:so:libc.musl-x86_64.so.1=1\n\nP:busybox\nV:1.36-r1\np:cmd:sh=1.36-r1 sh\n";
  expect(packagesIn(Buffer.from(text), APK, ["musl", "sh", "nothing"])).toEqual([
    { name: "musl", version: "1.2.5-r0" },
    { name: "sh", version: "1.36-r1" },
  ]);
});

test.each(["", "\n\n\n", "Package: ", "\u0000".repeat(100)])("garbage %j has no packages", (text) => {
  expect(packagesIn(Buffer.from(text), DPKG, ["a", ""])).toEqual([]);
});

test.each([
  ["nothing", ""],
  ["too many entries", "ffffffff00000001"],
  ["entries that are not there", "0000000500000001"],
  ["a text beyond the end", "0000000100000001000003e800000006ffffff0000000001"],
])("a header of %s is none", (_name, hex) => {
  const bytes = Buffer.from(hex, "hex");
  expect(packageOf((length) => bytes.subarray(0, length))).toBeUndefined();
});

const tools = await ensurePackages(["rpm", "db5.3-util"]);

describeWith("rpm", tools, () => {
  let folder: string;
  const names = ["inguest-test", "other"];
  const expected = [
    { name: "inguest-test", version: "1.2", release: "3" },
    { name: "other", version: "4", release: "5.el9" },
  ];
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "inguest-rpm-"));
    for (const { name, version, release } of expected) {
      const spec = join(folder, `${name}.spec`);
      await Bun.write(
        spec,
        `Name: ${name}\nVersion: ${version}\nRelease: ${release}\nSummary: x\nLicense: x\nBuildArch: noarch\n%description\n${"x ".repeat(4000)}\n%files\n`,
      );
      await mustRun(["rpmbuild", "-bb", "--define", `_topdir ${folder}`, spec]);
    }
  }, 60_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const sorted = (found: readonly { readonly name: string }[]) =>
    found.toSorted((left, right) => left.name.localeCompare(right.name));

  /** rpm's own database of the packages, in the one format that Debian's rpm writes. */
  let sqlite: Promise<string> | undefined;
  const database = (): Promise<string> => {
    sqlite ??= (async () => {
      const options = ["--dbpath", folder, "--define", "_db_backend sqlite"];
      const packages = [...new Bun.Glob("RPMS/noarch/*.rpm").scanSync({ cwd: folder, absolute: true })];
      await mustRun(["rpm", ...options, "-i", "--justdb", "--nodeps", "--force-debian", ...packages]);
      return join(folder, "rpmdb.sqlite");
    })();
    return sqlite;
  };

  async function headers(): Promise<{ readonly hnum: number; readonly blob: Uint8Array }[]> {
    const { Database } = await import("bun:sqlite");
    using source = new Database(await database(), { readonly: true });
    return source.query<{ hnum: number; blob: Uint8Array }, []>("SELECT hnum, blob FROM Packages").all();
  }

  test("SQLite", async () => {
    const path = await database();
    expect(sorted(readSqlite(path, names))).toEqual(expected);
    expect(readSqlite(path, ["nothing"])).toEqual([]);
  });

  test("Berkeley DB", async () => {
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
    const key = (number: number): string => hex(new Uint8Array(Uint32Array.of(number).buffer));
    const lines = (await headers()).flatMap(({ hnum, blob }) => [` ${key(hnum)}`, ` ${hex(blob)}`]);
    const intro = ["VERSION=3", "format=bytevalue", "type=hash", "db_pagesize=4096", "HEADER=END"];
    const counter = [` ${key(0)}`, ` ${key(9)}`];
    await Bun.write(join(folder, "dump"), `${[...intro, ...counter, ...lines, "DATA=END"].join("\n")}\n`);
    const path = join(folder, "Packages");
    await mustRun(["db5.3_load", "-f", join(folder, "dump"), path]);
    expect(sorted(readBerkeleyDb(path, names))).toEqual(expected);
    expect(readBerkeleyDb(path, ["nothing"])).toEqual([]);
  });

  test("NDB, laid out by this test as no tool here writes it", async () => {
    const blobs = (await headers()).map(({ blob }, index) => {
      const bytes = Buffer.alloc(16 * Math.ceil((16 + blob.byteLength + 12) / 16));
      bytes.write("BlbS");
      bytes.writeUInt32LE(index + 1, 4);
      bytes.writeUInt32LE(blob.byteLength, 12);
      bytes.set(blob, 16);
      return bytes;
    });
    const slots = Buffer.alloc(4096);
    slots.write("RpmP");
    slots.writeUInt32LE(1, 12);
    let block = slots.byteLength / 16;
    // A slot between them is free.
    for (const [index, blob] of blobs.entries()) {
      const at = 32 + 32 * index;
      slots.write("Slot", at);
      slots.write("Slot", at + 16);
      slots.writeUInt32LE(index + 1, at + 4);
      slots.writeUInt32LE(block, at + 8);
      slots.writeUInt32LE(blob.byteLength / 16, at + 12);
      block += blob.byteLength / 16;
    }
    const path = join(folder, "Packages.db");
    await Bun.write(path, Buffer.concat([slots, ...blobs]));
    expect(sorted(readNdb(path, names))).toEqual(expected);
    expect(readNdb(path, ["nothing"])).toEqual([]);
  });

  test("files that are no databases", async () => {
    const path = join(folder, "garbage");
    await Bun.write(path, crypto.getRandomValues(new Uint8Array(20_000)));
    expect(readBerkeleyDb(path, names)).toEqual([]);
    expect(readNdb(path, names)).toEqual([]);
    expect(RPM_DATABASES.map(({ path: place }) => place)).toContain("/var/lib/rpm/Packages");
  });
});
