/** A serial line under Wine that breaks. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { openWire } from "../conformance/wire.ts";
import { describeWith } from "../lab/apt.ts";
import { waitFor } from "../lab/process.ts";
import { openWine, startWineAgent, type WineLab, wineAvailability } from "./wine.ts";

setDefaultTimeout(120_000);

const SIZE = 8_000_000;
/** More than the line holds, so that the agent waits in the middle of its reply. */
const STUCK_MS = 1000;

describeWith("serial line", await wineAvailability(), () => {
  let lab: WineLab;

  beforeAll(async () => {
    lab = await openWine();
    await Bun.write(join(lab.driveC, "big"), new Uint8Array(SIZE));
  });

  afterAll(() => lab?.close());

  test("that breaks in the middle of a reply is opened again when it comes back", async () => {
    const agent = await startWineAgent(lab, 3, ["--retry-path"]);
    const wire = await openWire(agent.socketPath);
    const { reply } = await wire.exchange(['{"execute": "guest-file-open", "arguments": {"path": "C:/big"}}\n']);
    const handle = /"return": (\d+)/.exec(reply)?.[1];
    wire.pause();
    wire.send(`{"execute": "guest-file-read", "arguments": {"handle": ${handle}, "count": ${SIZE}}}\n`);
    await Bun.sleep(STUCK_MS);
    // The other end of the terminal goes with it.
    wire.close();
    const { log } = agent.process;
    await waitFor(async () => ((await log()).includes("the channel COM3 ended") ? true : undefined), 10_000, log);

    const again = await openWire(await lab.openLine(3));
    await waitFor(async () => ((await log()).includes("the channel COM3 is there") ? true : undefined), 30_000, log);
    expect((await again.exchange(['{"execute": "guest-ping"}\n'])).reply).toBe('{"return": {}}\n');
    again.close();
  });
});
