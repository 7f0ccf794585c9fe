/** An agent that nobody asks anything does nothing at all. */
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startAgent } from "../lab/agent.ts";
import { connect } from "../lab/qga-client.ts";
import { compiledAgent } from "../vm/agent.ts";
import { contextSwitches, processorTicks } from "./resources.ts";

/** Helper threads of the engine that have nothing to do end within it. */
const SETTLING_MS = 25_000;
const SILENCE_MS = 35_000;
const HASTE = 500;

test.concurrent.each([
  ["without a host", false],
  ["with a host that asks nothing", true],
])(
  "no thread wakes up, nor stays awake, %s",
  async (_, attached) => {
    const folder = await mkdtemp(join(tmpdir(), "inguest-silence-"));
    const socketPath = join(folder, "a.sock");
    const agent = await startAgent([await compiledAgent()], { socketPath, stateDir: folder });
    try {
      const host = await connect(socketPath);
      await host.sync();
      // One after the other in haste: the agent then begins its waits awake.
      for (let asked = 0; asked < HASTE; asked++) await host.call("guest-ping");
      if (!attached) host.close();
      await Bun.sleep(SETTLING_MS);
      const before = { switches: contextSwitches(agent.pid), ticks: processorTicks(agent.pid) };
      await Bun.sleep(SILENCE_MS);
      expect({ switches: contextSwitches(agent.pid), ticks: processorTicks(agent.pid) }).toEqual(before);
      host.close();
    } finally {
      await agent.stop();
      await rm(folder, { recursive: true });
    }
  },
  SETTLING_MS + SILENCE_MS + 30_000,
);
