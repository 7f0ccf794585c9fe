/** An agent that nobody asks anything does nothing at all. */
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startAgent } from "../lab/agent.ts";
import { connect } from "../lab/qga-client.ts";
import { compiledAgent } from "../vm/agent.ts";
import { contextSwitches } from "./resources.ts";

/** Helper threads of the engine that have nothing to do end within it. */
const SETTLING_MS = 25_000;
const SILENCE_MS = 35_000;

test.concurrent.each([
  ["without a host", false],
  ["with a host that asks nothing", true],
])(
  "no thread wakes up %s",
  async (_, attached) => {
    const folder = await mkdtemp(join(tmpdir(), "inguest-silence-"));
    const socketPath = join(folder, "a.sock");
    const agent = await startAgent([await compiledAgent()], { socketPath, stateDir: folder });
    try {
      const host = await connect(socketPath);
      await host.sync();
      if (!attached) host.close();
      await Bun.sleep(SETTLING_MS);
      const before = contextSwitches(agent.pid);
      await Bun.sleep(SILENCE_MS);
      expect(contextSwitches(agent.pid)).toBe(before);
      host.close();
    } finally {
      await agent.stop();
      await rm(folder, { recursive: true });
    }
  },
  SETTLING_MS + SILENCE_MS + 30_000,
);
