import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { linuxMemoryBlocks } from "../../platform/linux/memory-blocks.ts";
import { getMemoryBlockInfo, getMemoryBlocks, setMemoryBlocks } from "../../src/dialect/qga/commands/memory-blocks.ts";
import { type FileTree, fileTree } from "../lab/file-tree.ts";

const MEMORY = "/sys/devices/system/memory";

const machine = (): FileTree =>
  fileTree({
    [`${MEMORY}/auto_online_blocks`]: "online\n",
    [`${MEMORY}/block_size_bytes`]: "8000000\n",
    [`${MEMORY}/power/`]: "",
    [`${MEMORY}/memory0/state`]: "online\n",
    [`${MEMORY}/memory0/removable`]: "0\n",
    [`${MEMORY}/memory1/state`]: "online\n",
    [`${MEMORY}/memory1/removable`]: "1\n",
    [`${MEMORY}/memory32/state`]: "offline\n",
    [`${MEMORY}/memory32/removable`]: "1\n",
    [`${MEMORY}/memory33/state`]: "going-offline\n",
    [`${MEMORY}/memory33/removable`]: "1\n",
  });

const byIndex = (tree: FileTree) => [...linuxMemoryBlocks(tree.root).list()].sort((a, b) => a.index - b.index);
const stateOf = (tree: FileTree, index: number) => readFileSync(`${tree.root}${MEMORY}/memory${index}/state`, "latin1");

describe("memory blocks", () => {
  test("are listed with what the kernel says of each", () => {
    using tree = machine();
    expect(byIndex(tree)).toEqual([
      { index: 0, online: true, canOffline: false },
      { index: 1, online: true, canOffline: true },
      { index: 32, online: false, canOffline: true },
      { index: 33, online: false, canOffline: true },
    ]);
  });

  test("of old kernels, which have no state or do not say what is removable, and one that has just gone", () => {
    using tree = fileTree({
      [`${MEMORY}/memory5/uevent`]: "",
      [`${MEMORY}/memory6/uevent`]: "",
      [`${MEMORY}/memory6/state`]: "online\n",
      [`${MEMORY}/memory7/`]: "",
    });
    expect(byIndex(tree)).toEqual([
      { index: 5, online: true, canOffline: false },
      { index: 6, online: true, canOffline: false },
    ]);
  });

  test("there are none on a kernel without hotplug", () => {
    using tree = fileTree({});
    expect(byIndex(tree)).toEqual([]);
  });

  test("go online and offline, and one that is so already is not written to", () => {
    using tree = machine();
    const blocks = linuxMemoryBlocks(tree.root);
    expect([blocks.set(32, true), blocks.set(1n, false), blocks.set(0, true)]).toEqual(
      Array(3).fill({ outcome: "success" }),
    );
    // A file takes the word over what it had; the kernel's file is a switch.
    expect([stateOf(tree, 32), stateOf(tree, 1), stateOf(tree, 0)]).toEqual(["onlinee\n", "offline", "online\n"]);
  });

  test("one that cannot be switched says why", () => {
    using tree = machine();
    const { set } = linuxMemoryBlocks(tree.root);
    expect(set(2, true)).toEqual({ outcome: "not-found", errno: 2 });
    expect(set(2n ** 64n - 1n, false)).toEqual({ outcome: "not-found", errno: 2 });
    mkdirSync(`${tree.root}${MEMORY}/memory40/state`, { recursive: true });
    expect(set(40, false)).toEqual({ outcome: "operation-failed", errno: 21 });
    tree.add({ [`${MEMORY}/memory41/uevent`]: "" });
    expect([set(41, true), set(41, false)]).toEqual([
      { outcome: "success" },
      { outcome: "operation-not-supported", errno: 2 },
    ]);
    using none = fileTree({});
    expect(linuxMemoryBlocks(none.root).set(0, true)).toEqual({ outcome: "operation-not-supported", errno: 2 });
  });

  test.each([
    ["8000000\n", 0x8000000],
    ["1f00000000", 0x1f00000000],
    ["80000000 \n", 0x80000000],
  ])("have the size %p", (text, size) => {
    using tree = fileTree({ [`${MEMORY}/block_size_bytes`]: text });
    expect(linuxMemoryBlocks(tree.root).blockSize()).toBe(size);
  });

  test("without a size there is an error", () => {
    using none = fileTree({});
    expect(() => linuxMemoryBlocks(none.root).blockSize()).toThrow(`open ${none.root}${MEMORY}/: No such file`);
    using garbled = fileTree({ [`${MEMORY}/block_size_bytes`]: "many" });
    expect(() => linuxMemoryBlocks(garbled.root).blockSize()).toThrow("block_size_bytes");
  });
});

describe("commands", () => {
  const agentOf = (tree: FileTree) => ({ guest: { memoryBlocks: linuxMemoryBlocks(tree.root) } }) as never;

  test("have qemu's members in qemu's order", () => {
    using tree = machine();
    expect(JSON.stringify(getMemoryBlocks.run({}, agentOf(tree)))).toContain(
      '{"online":false,"can-offline":true,"phys-index":32}',
    );
    expect(getMemoryBlockInfo.run({}, agentOf(tree))).toEqual({ size: 0x8000000 });
  });

  test("guest-set-memory-blocks goes on after one that failed", () => {
    using tree = machine();
    const wanted = [2, 32, 1].map((index) => ({ "phys-index": index, online: index === 32 }));
    expect(setMemoryBlocks.run({ "mem-blks": wanted } as never, agentOf(tree))).toEqual([
      { response: "not-found", "error-code": 2, "phys-index": 2 },
      { response: "success", "error-code": undefined, "phys-index": 32 },
      { response: "success", "error-code": undefined, "phys-index": 1 },
    ]);
  });
});
