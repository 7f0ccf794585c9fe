/** A line that can be opened but fails at once. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compiledAgent } from "../vm/agent.ts";

test("is not opened again and again without a pause", async () => {
  const folder = mkdtempSync(join(tmpdir(), "inguest-line-"));
  const path = join(folder, "line");
  // It can be opened, but nobody has memory at address 0: the first read fails (EIO).
  symlinkSync("/proc/self/mem", path);
  const agent = Bun.spawn(
    [await compiledAgent(), "-m", "virtio-serial", "-p", path, "-t", folder, "-v", "--retry-path"],
    {
      stderr: "pipe",
    },
  );
  try {
    await Bun.sleep(1500);
    agent.kill();
    const log = await new Response(agent.stderr).text();
    expect(log.match(/ ended: /g)?.length).toBe(1);
  } finally {
    agent.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  }
});
