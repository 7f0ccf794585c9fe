/** What one more open file or one more running child costs when there are many: the last ones to the first ones. */
import { type Client, requestBytes } from "../client.ts";
import { AGENTS, type Experiment, median, value } from "../experiment.ts";

const HANDLES = 10_000;
const CHILDREN = 1000;
/** Of how many of the first and the last ones the median is taken. */
const EDGE = 100;
/** Noise left aside, this is flat. */
const FLAT = 1.25;

/** @returns the median of the last ones by that of the first ones */
function growth(count: number, action: () => void): number {
  const taken = Array.from({ length: count }, () => {
    const begin = performance.now();
    action();
    return performance.now() - begin;
  });
  return median(taken.slice(-EDGE)) / median(taken.slice(0, EDGE));
}

/** Opens a file and uses it. */
const openOne = (client: Client, path: string): number => {
  const handle = client.call<number>("guest-file-open", { path });
  client.ask(requestBytes("guest-file-seek", { handle, offset: 0, whence: 0 }));
  return handle;
};

/** Starts a child that stays and asks for it. */
const execOne = (client: Client): number => {
  const { pid } = client.call<{ pid: number }>("guest-exec", { path: "/bin/sleep", arg: ["600"] });
  client.ask(requestBytes("guest-exec-status", { pid }));
  return pid;
};

export const GROWTH: readonly Experiment[] = [
  {
    figures: {
      last: { name: "cost of handle 10 000 to that of the first", unit: "×", better: "lower", target: value(FLAT) },
    },
    subjects: AGENTS,
    rounds: 3,
    slow: true,
    async sample(subject, lab) {
      const { client, stop } = await lab.start(subject);
      // Warm: compiled code is faster than interpreted code, which would hide what is looked for.
      const warm = Array.from({ length: HANDLES / 4 }, () => openOne(client, lab.data));
      for (const handle of warm) client.call("guest-file-close", { handle });
      const last = growth(HANDLES, () => openOne(client, lab.data));
      await stop();
      return { last };
    },
  },
  {
    figures: {
      last: {
        name: "cost of running child 1 000 to that of the first",
        unit: "×",
        better: "lower",
        target: value(FLAT),
      },
    },
    subjects: AGENTS,
    rounds: 3,
    slow: true,
    async sample(subject, lab) {
      const { client, stop } = await lab.start(subject);
      const children: number[] = [];
      const another = (): void => {
        children.push(execOne(client));
      };
      const end = (): void => {
        for (const pid of children.splice(0)) process.kill(pid, "SIGKILL");
      };
      try {
        for (let index = 0; index < EDGE; index++) another();
        end();
        await Bun.sleep(500);
        return { last: growth(CHILDREN, another) };
      } finally {
        end();
        await stop();
      }
    },
  },
];
