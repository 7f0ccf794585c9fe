import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync } from "node:fs";
import { linuxVcpus } from "../../platform/linux/vcpus.ts";
import { setVcpus } from "../../src/capability/vcpus.ts";
import { getVcpus, setVcpusCommand } from "../../src/dialect/qga/commands/vcpus.ts";
import { RequestError } from "../../src/errors.ts";
import { SystemError } from "../../src/guest.ts";
import { type FileTree, fileTree } from "../lab/file-tree.ts";

const CPU = "/sys/devices/system/cpu";

/** The kernel's directory of processors: 0 cannot go offline, 1 is online, 2 offline. */
const machine = (): FileTree =>
  fileTree({
    [`${CPU}/cpu0/`]: "",
    [`${CPU}/cpu1/online`]: "1\n",
    [`${CPU}/cpu2/online`]: "0\n",
    [`${CPU}/cpu10/online`]: "1\n",
    [`${CPU}/cpufreq/`]: "",
    [`${CPU}/cpuidle/`]: "",
    [`${CPU}/online`]: "0-1,10\n",
  });

const stateOf = (tree: FileTree, id: number): string => readFileSync(`${tree.root}${CPU}/cpu${id}/online`, "latin1");
const byId = (tree: FileTree) => [...linuxVcpus(tree.root).list()].sort((a, b) => a.id - b.id);

describe("processors", () => {
  test("are listed with what the kernel says of each", () => {
    using tree = machine();
    expect(byId(tree)).toEqual([
      { id: 0, online: true, canOffline: false },
      { id: 1, online: true, canOffline: true },
      { id: 2, online: false, canOffline: true },
      { id: 10, online: true, canOffline: true },
    ]);
  });

  test("go offline and online, and one that is so already is not written to", () => {
    using tree = machine();
    // Whatever is not 0 is online; a write would be seen.
    tree.add({ [`${CPU}/cpu10/online`]: "7\n" });
    const { set } = linuxVcpus(tree.root);
    expect([set!(1, false), set!(2n, true), set!(10, true)]).toEqual([true, true, true]);
    expect([stateOf(tree, 1), stateOf(tree, 2), stateOf(tree, 10)]).toEqual(["0\n", "1\n", "7\n"]);
  });

  test("without a switch one can only be online", () => {
    using tree = machine();
    const { set } = linuxVcpus(tree.root);
    expect([set!(0, true), set!(0, false)]).toEqual([true, false]);
  });

  test("an error names the call and the path", () => {
    using tree = machine();
    const { set } = linuxVcpus(tree.root);
    const missing = { call: "open", code: "ENOENT", subject: `${tree.root}${CPU}/cpu3/` };
    expect(() => set!(3, true)).toThrow(expect.objectContaining(missing));
    tree.add({ [`${CPU}/cpu4/online`]: "" });
    expect(() => set!(4, true)).toThrow(expect.objectContaining({ call: "pread", reason: "unexpected EOF" }));
    mkdirSync(`${tree.root}${CPU}/cpu5/online`, { recursive: true });
    expect(() => set!(5, true)).toThrow(expect.objectContaining({ call: "open", code: "EISDIR" }));
  });

  test("without sysfs there is an error with the path", () => {
    using empty = fileTree({});
    expect(() => linuxVcpus(empty.root).list()).toThrow(`opendir ${empty.root}${CPU}: No such file or directory`);
  });

  test("a state that is empty or garbled is no error", () => {
    using tree = machine();
    tree.add({ [`${CPU}/cpu1/online`]: "", [`${CPU}/cpu2/online`]: "\xff" });
    chmodSync(`${tree.root}${CPU}/cpu2/online`, 0o000);
    expect(byId(tree).map(({ id, canOffline }) => [id, canOffline])).toContainEqual([1, true]);
  });
});

describe("a list of processors to switch", () => {
  /** Fails for what `refused` and `broken` name; keeps what was done. */
  function scene(refused: readonly number[], broken: readonly number[]) {
    const done: string[] = [];
    const set = (id: number | bigint, online: boolean): boolean => {
      if (broken.includes(Number(id))) throw new SystemError("open", "ENOENT", "No such file or directory", `cpu${id}`);
      if (refused.includes(Number(id))) return false;
      done.push(`${id} ${online ? "on" : "off"}`);
      return true;
    };
    const run = (...ids: number[]) =>
      setVcpus(
        set,
        ids.map((id) => ({ id, online: false })),
      );
    return { done, run };
  }

  test("an empty one does nothing", () => {
    const { done, run } = scene([], []);
    expect([run(), done]).toEqual([0, []]);
  });

  test("is done in order up to the first that fails, and not beyond", () => {
    const { done, run } = scene([0], []);
    expect(run(3, 1, 0, 2)).toBe(2);
    expect(done).toEqual(["3 off", "1 off"]);
  });

  test("fails when the first does", () => {
    expect(() => scene([0], []).run(0, 1)).toThrow(new RequestError("logical processor #0 can't be offlined"));
    const { done, run } = scene([], [9]);
    expect(() => run(9, 1)).toThrow(SystemError);
    expect(done).toEqual([]);
  });
});

describe("commands", () => {
  const run = (tree: FileTree, vcpus: readonly object[]) =>
    setVcpusCommand.run({ vcpus } as never, { guest: { vcpus: linuxVcpus(tree.root) } } as never);

  test("guest-get-vcpus has qemu's members in qemu's order", () => {
    using tree = machine();
    const list = getVcpus.run({}, { guest: { vcpus: linuxVcpus(tree.root) } } as never);
    expect(JSON.stringify(list)).toContain('{"online":false,"can-offline":true,"logical-id":2}');
  });

  test("guest-set-vcpus words a failed call as qemu does", () => {
    using tree = machine();
    const online = true;
    expect(() => run(tree, [{ "logical-id": 7, online }])).toThrow(
      `open("${tree.root}${CPU}/cpu7/"): No such file or directory`,
    );
    expect(() => run(tree, [{ "logical-id": -1n, online }])).toThrow(`open("${tree.root}${CPU}/cpu-1/")`);
    expect(() => run(tree, [{ "logical-id": 0, online: false }])).toThrow("logical processor #0 can't be offlined");
    expect(
      run(tree, [
        { "logical-id": 1, online: false },
        { "logical-id": 7, online },
      ]),
    ).toBe(1);
    expect(stateOf(tree, 1)).toBe("0\n");
  });
});
