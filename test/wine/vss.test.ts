/** Freezing call by call against a shadow copy service that tells, counts and fails as it is told. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { openWire, type Wire } from "../conformance/wire.ts";
import { describeWith } from "../lab/apt.ts";
import { isObject, parseJson } from "../lab/qga-client.ts";
import { openWine, startWineAgent, type WineLab, wineAvailability } from "./wine.ts";

setDefaultTimeout(300_000);

const PROVIDER = "HKLM\\SYSTEM\\CurrentControlSet\\Services\\VSS\\Providers\\{3629D4ED-EE09-4E0E-9A5C-6D8BA2872AEF}";
const FREEZE = "guest-fsfreeze-freeze";
const THAW = "guest-fsfreeze-thaw";

describeWith("VSS", await wineAvailability(), () => {
  let lab: WineLab;
  let wire: Wire;

  beforeAll(async () => {
    lab = await openWine();
    await lab.compile("vssapi.c", "vssapi.dll", ["-shared", "-loleaut32"]);
    const agent = await startWineAgent(lab, 1, [], { WINEDLLOVERRIDES: "vssapi=n" });
    wire = await openWire(agent.socketPath);
  });

  afterAll(async () => {
    wire?.close();
    await lab?.close();
  });

  const ask = async (command: string, args = ""): Promise<string> => {
    const line = `{"execute": "${command}"${args === "" ? "" : `, "arguments": ${args}`}}\n`;
    return (await wire.exchange([line], { patience: 90_000, timeoutMs: 90_000 })).reply;
  };
  const returned = async (command: string, args = "") => {
    const reply = parseJson(await ask(command, args));
    if (!isObject(reply)) throw new Error("no object");
    return reply.return ?? (isObject(reply.error) ? reply.error.desc : undefined);
  };
  /** Says what shall go wrong, and forgets what was told before. */
  const order = async (orders: string): Promise<void> => {
    await rm(join(lab.driveC, "vss.log"), { force: true });
    await Bun.write(join(lab.driveC, "vss.txt"), `${orders}\n`);
  };
  const told = async (): Promise<string[]> => (await Bun.file(join(lab.driveC, "vss.log")).text()).trim().split("\n");
  /** Objects that nobody has released. */
  const leaked = async (): Promise<string | undefined> =>
    (await told()).findLast((line) => line.includes("live="))?.replace(/.*live=/, "");

  test("without a provider that holds a freeze none is made", async () => {
    expect(await returned(FREEZE)).toContain("no VSS provider that holds a freeze is installed");
    expect(await returned("guest-fsfreeze-status")).toBe("thawed");
    expect((await lab.run(["reg", "add", PROVIDER, "/f"])).exitCode).toBe(0);
  });

  test("freeze, refuse, thaw", async () => {
    await order("");
    expect(await returned(FREEZE)).toBe(2);
    expect(await returned("guest-fsfreeze-status")).toBe("frozen");
    expect(await returned("guest-get-host-name")).toContain("disabled");
    expect(await returned("guest-ping")).toEqual({});
    expect(await told()).not.toContain("thawed");
    expect(await returned(THAW)).toBe(2);
    expect(await returned("guest-fsfreeze-status")).toBe("thawed");
    expect(await returned(THAW)).toBe(0);
    expect((await told()).filter((line) => !line.startsWith("~"))).toEqual([
      "CreateVssBackupComponents",
      "InitializeForBackup",
      "state 1 1 1 0",
      "SetBackupState",
      "context 200002b",
      "SetContext",
      "GatherWriterMetadata",
      "GetWriterMetadataCount",
      "GetWriterMetadata",
      "GetIdentity",
      "GetFileCounts",
      "GetComponent",
      "GetComponentInfo",
      "component 11111111 22222222 1 path database",
      "AddComponent",
      "FreeWriterMetadata",
      "StartSnapshotSet",
      expect.stringMatching(/^volume \\\\\?\\Volume\{.*\}\\ 3629d4ed$/),
      "AddToSnapshotSet",
      expect.stringMatching(/^volume \\\\\?\\Volume\{.*\}\\ 3629d4ed$/),
      "AddToSnapshotSet",
      "PrepareForBackup",
      "GatherWriterStatus",
      "DoSnapshotSet",
      "thawed",
      "BackupComplete",
    ]);
    expect(await leaked()).toBe("0");
  });

  test("chosen mountpoints", async () => {
    await order("");
    expect(await returned("guest-fsfreeze-freeze-list", '{"mountpoints": ["C:\\\\"]}')).toBe(1);
    expect(await told()).toContain("volume C:\\ 3629d4ed");
    expect(await returned(THAW)).toBe(1);
    expect(await returned("guest-fsfreeze-freeze-list", '{"mountpoints": []}')).toBe(0);
    expect(await returned("guest-fsfreeze-status")).toBe("thawed");
    expect(await leaked()).toBe("0");
  });

  test("a client of Windows knows no transportable snapshots", async () => {
    await order("fail SetContext 8004231b");
    expect(await returned(FREEZE)).toBe(2);
    expect(await told()).toContain("context 200000b");
    expect(await returned(THAW)).toBe(2);
    expect(await leaked()).toBe("0");
  });

  const FAILURES: Readonly<Record<string, string>> = {
    CreateVssBackupComponents: "failed to create VSS backup components",
    InitializeForBackup: "failed to initialize for backup",
    SetBackupState: "failed to set backup state",
    SetContext: "failed to set backup context",
    GatherWriterMetadata: "failed to gather writer metadata",
    "GatherWriterMetadata.end": "failed to gather writer metadata",
    GetWriterMetadataCount: "failed to get writer metadata count",
    GetWriterMetadata: "failed to get metadata of writer 1 of 1",
    GetIdentity: "failed to get identity of writer 1 of 1",
    GetFileCounts: "failed to get file counts of Test Writer",
    GetComponent: "failed to get component 1 of Test Writer",
    GetComponentInfo: "failed to get component info of Test Writer",
    AddComponent: "failed to add component database (Test Writer)",
    StartSnapshotSet: "failed to start snapshot set",
    AddToSnapshotSet: "failed to add ",
    PrepareForBackup: "failed to prepare for backup",
    "PrepareForBackup.end": "failed to prepare for backup",
    GatherWriterStatus: "failed to gather writer status",
    "GatherWriterStatus.end": "failed to gather writer status",
    DoSnapshotSet: "failed to do snapshot set",
    QueryStatus: "failed to gather writer metadata",
  };
  for (const [call, text] of Object.entries(FAILURES)) {
    test(`${call} fails`, async () => {
      await order(`fail ${call} 80042301`);
      const error = await returned(FREEZE);
      expect(error).toStartWith(text);
      expect(error).toContain("VSS_E_BAD_STATE (Windows error 0x80042301)");
      expect(await returned("guest-fsfreeze-status")).toBe("thawed");
      const calls = await told();
      if (call !== "CreateVssBackupComponents") {
        expect(calls).toContain("AbortBackup");
        expect(await leaked()).toBe("0");
      }
      expect(await returned(THAW)).toBe(0);
    });
  }

  test("writers that have failed are named", async () => {
    await order("fail PrepareForBackup 80042318");
    expect(await returned(FREEZE)).toBe(
      "failed to prepare for backup: VSS_E_WRITER_INFRASTRUCTURE (Windows error 0x80042318) " +
        "(writers that failed: Broken Writer: VSS_E_WRITERERROR_TIMEOUT (Windows error 0x800423f2))",
    );
    expect(await leaked()).toBe("0");
  });

  test("a snapshot that ends without a freeze is an error", async () => {
    await order("fail early 0");
    expect(await returned(FREEZE)).toBe("failed to do snapshot set: it ended without having been frozen");
    expect(await returned("guest-fsfreeze-status")).toBe("thawed");
    expect(await leaked()).toBe("0");
  });

  for (const [call, text] of [
    ["DoSnapshotSet.end", "failed to do snapshot set"],
    ["BackupComplete", "failed to complete backup"],
    ["BackupComplete.end", "failed to complete backup"],
  ] as const) {
    test(`${call} fails at the thaw`, async () => {
      await order(`fail ${call} 80042301`);
      expect(await returned(FREEZE)).toBe(2);
      expect(await returned(THAW)).toStartWith(text);
      expect(await returned("guest-fsfreeze-status")).toBe("thawed");
      expect(await leaked()).toBe("0");
    });
  }

  test("a freeze that the service gave up is told at the thaw", async () => {
    await order("hold 300");
    expect(await returned(FREEZE)).toBe(2);
    await Bun.sleep(600);
    expect(await returned(THAW)).toStartWith("couldn't hold writes: fsfreeze is limited up to 10 seconds");
    expect(await returned("guest-fsfreeze-status")).toBe("thawed");
    expect(await returned("guest-get-host-name")).toBeObject();
    expect(await leaked()).toBe("0");
  });

  for (const call of ["PrepareForBackup", "DoSnapshotSet"]) {
    test(`${call} never ends`, async () => {
      await order(`hang ${call}`);
      expect(await returned(FREEZE)).toContain("after 60 s");
      expect(await returned("guest-fsfreeze-status")).toBe("thawed");
      expect(await told()).toContain("AbortBackup");
      expect(await leaked()).toBe("0");
    });
  }
});
