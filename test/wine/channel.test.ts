/** The agent on a COM port under Wine, asked everything that was asked of qemu-ga. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { converse, shapeDifference } from "../conformance/conversation.ts";
import { createJudge } from "../conformance/judge.ts";
import { type Outcome, readRecording } from "../conformance/recording.ts";
import { openWire, type Wire } from "../conformance/wire.ts";
import { describeWith } from "../lab/apt.ts";
import { isObject, parseJson } from "../lab/qga-client.ts";
import { elsewhere } from "./elsewhere.ts";
import { openWine, startWineAgent, type WineAgent, type WineLab, wineAvailability } from "./wine.ts";

setDefaultTimeout(300_000);

const recording = readRecording();

describeWith("the recorded conversation over a COM port", await wineAvailability(), () => {
  let lab: WineLab;
  let agent: WineAgent;
  let wire: Wire;
  const answers = new Map<string, Outcome>();
  const judge = createJudge("recording");

  beforeAll(async () => {
    lab = await openWine();
    agent = await startWineAgent(lab, 1);
    wire = await openWire(agent.socketPath);
    const { ask } = converse(wire, { file: "C:/file", statusDelay: 0 });
    for (const request of recording) answers.set(request.name, await ask(request));
  });

  afterAll(async () => {
    wire?.close();
    await lab?.close();
  });

  for (const { name, outcome, shape } of recording) {
    const reason = elsewhere(name);
    test(reason === undefined ? name : `${name} (not on Windows: ${reason})`, () => {
      const answer = answers.get(name);
      if (answer === undefined) throw new Error("the conversation ended before this request");
      const fault = (): string | undefined => {
        if (outcome !== undefined) return judge.judge(name, outcome, answer);
        const reply = parseJson(answer.reply);
        return shapeDifference(shape ?? null, isObject(reply) ? reply.return : reply);
      };
      // A reason that holds no longer must go.
      if (reason === undefined) expect(fault()).toBeUndefined();
      else expect(fault()).toBeString();
    });
  }
});
