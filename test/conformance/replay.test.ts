/** Every request of the recorded conversation with qemu-ga 10, asked of our agent and compared member by member. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inguestCommand, type RunningAgent, startAgent } from "../lab/agent.ts";
import { isObject, parseJson } from "../lab/qga-client.ts";
import { converse, shapeDifference } from "./conversation.ts";
import { createJudge } from "./judge.ts";
import { type Outcome, readRecording } from "./recording.ts";
import { openWire, type Wire } from "./wire.ts";

setDefaultTimeout(120_000);

const recording = readRecording();

describe("replay of the recording of qemu-ga 10.0.13", () => {
  let folder: string;
  let agent: RunningAgent;
  let wire: Wire;
  const answers = new Map<string, Outcome>();
  const judge = createJudge("recording");

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "inguest-replay-"));
    const socketPath = join(folder, "socket");
    agent = await startAgent(inguestCommand, { socketPath, stateDir: join(folder, "state"), cwd: folder });
    wire = await openWire(socketPath);
    const { ask } = converse(wire, { file: join(folder, "file"), statusDelay: 0 });
    for (const request of recording) answers.set(request.name, await ask(request));
  });

  afterAll(async () => {
    wire?.close();
    const code = await agent?.stop();
    await rm(folder, { recursive: true, force: true });
    expect(code).toBe(0);
  });

  for (const { name, outcome, shape } of recording) {
    test(name, () => {
      const answer = answers.get(name);
      if (answer === undefined) throw new Error("the conversation ended before this request");
      if (outcome !== undefined) return expect(judge.judge(name, outcome, answer)).toBeUndefined();
      const reply = parseJson(answer.reply);
      expect(shapeDifference(shape ?? null, isObject(reply) ? reply.return : reply)).toBeUndefined();
    });
  }

  test("every intended difference still is one", () => {
    expect(judge.unused()).toEqual([]);
  });
});
