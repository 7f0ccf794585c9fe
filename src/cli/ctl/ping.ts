/** `inguest ctl ping`: whether an agent answers, and how quickly. */
import { EXIT, show, UsageError, type Verb } from "./verb.ts";

const COUNT = {
  long: "count",
  short: "c",
  argument: "required",
  placeholder: "NUMBER",
  help: "ask so many times. Default: 1",
} as const;

const PAUSE_MS = 1000;

export const ping = {
  name: "ping",
  summary: "find out whether an agent answers, and how quickly",
  operands: "",
  count: [0, 0],
  options: [COUNT],
  handlesSignals: true,
  async run(context) {
    const { client, interrupted } = context;
    const count = context.option(COUNT) ?? "1";
    if (!/^[1-9]\d{0,8}$/.test(count)) throw new UsageError(`option --count: '${count}' is not a number of times`);
    for (let round = 0; round < Number(count) && !interrupted.aborted; round++) {
      if (round > 0) await Bun.sleep(PAUSE_MS);
      const started = performance.now();
      await client.call("guest-ping", {});
      const milliseconds = Math.round((performance.now() - started) * 1000) / 1000;
      show(context, { milliseconds }, `answered in ${milliseconds} ms`);
    }
    return EXIT.success;
  },
} as const satisfies Verb;
