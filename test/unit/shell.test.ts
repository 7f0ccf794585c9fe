import { describe, expect, test } from "bun:test";
import { processes } from "../../platform/linux/processes.ts";
import { outputOf, shellWords } from "../../src/capability/shell.ts";
import { SystemError } from "../../src/guest.ts";
import { onLoop } from "../lab/on-loop.ts";

const run = (command: string, limits = { timeout: 5000, output: 1000 }): Promise<string> =>
  onLoop(async () => outputOf({ processes }, shellWords("linux", command), limits));

describe("output of shell commands", () => {
  test("is standard output as it is", async () => {
    expect(await run("echo a; echo b >&2; echo c")).toBe("a\nc\n");
  });

  test("is cut at its limit, and the command goes on to its end", async () => {
    const path = `/tmp/inguest-shell-${process.pid}`;
    expect(await run(`yes | head -c 100000; echo done >${path}`)).toBe("y\n".repeat(500));
    expect(await Bun.file(path).text()).toBe("done\n");
    await Bun.file(path).delete();
  });

  test("ends at the time limit, for all that the command has started", async () => {
    const started = performance.now();
    // A shell replaces itself by its last command: this one has a child that holds the pipe.
    const running = run("sleep 27.5 & sleep 27.5; echo", { timeout: 200, output: 1000 });
    await expect(running).rejects.toThrow("the command was killed after 0.2 seconds");
    expect(performance.now() - started).toBeLessThan(5000);
    const { stdout } = Bun.spawnSync(["ps", "-eo", "args"]);
    expect(stdout.toString()).not.toContain("sleep 27.5");
  });

  test("a program that is not there", async () => {
    await expect(onLoop(async () => outputOf({ processes }, ["/nonexistent"]))).rejects.toBeInstanceOf(SystemError);
  });
});
