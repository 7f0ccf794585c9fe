/** What one more open file or one more running child costs when there are many, to what it costs when there are few. */
import { type Client, requestBytes } from "../client.ts";
import { AGENTS, type Experiment, median, repeat, value } from "../experiment.ts";
import type { Lab } from "../lab.ts";

const HANDLES = 10_000;
const CHILDREN = 1000;
/** Of how many the median is taken. */
const EDGE = 200;
/** Noise left aside, this is flat. */
const FLAT = 1.25;
const REAP_MS = 500;

interface Kind {
  /** Makes one and uses it. */
  make(client: Client, lab: Lab): number;
  end(client: Client, one: number): void;
}

const handle: Kind = {
  make(client, { data }) {
    const opened = client.call<number>("guest-file-open", { path: data });
    client.ask(requestBytes("guest-file-seek", { handle: opened, offset: 0, whence: 0 }));
    return opened;
  },
  end: (client, opened) => client.call("guest-file-close", { handle: opened }),
};

const child: Kind = {
  make(client) {
    const { pid } = client.call<{ pid: number }>("guest-exec", { path: "/bin/sleep", arg: ["600"] });
    client.ask(requestBytes("guest-exec-status", { pid }));
    return pid;
  },
  end: (_client, pid) => process.kill(pid, "SIGKILL"),
};

/**
 * Few come after many: by then the agent's code is compiled, and no slow beginning hides what is looked for.
 * @returns the cost of the last of many to that of the same number alone
 */
async function growth({ make, end }: Kind, many: number, client: Client, lab: Lab): Promise<number> {
  const alive: number[] = [];
  const cost = (count: number): number => {
    const taken = Array.from({ length: count }, () => repeat(0, () => alive.push(make(client, lab))));
    return median(taken.flat().slice(-EDGE));
  };
  const endAll = (): void => {
    for (const one of alive.splice(0)) end(client, one);
  };
  try {
    const last = cost(many);
    endAll();
    await Bun.sleep(REAP_MS);
    return last / cost(EDGE);
  } finally {
    endAll();
  }
}

const experiment = (name: string, kind: Kind, many: number): Experiment => ({
  figures: { last: { name, unit: "×", better: "lower", target: value(FLAT) } },
  subjects: AGENTS,
  rounds: 3,
  slow: true,
  async sample(subject, lab) {
    const { client, stop } = await lab.start(subject);
    try {
      return { last: await growth(kind, many, client, lab) };
    } finally {
      await stop();
    }
  },
});

export const GROWTH: readonly Experiment[] = [
  experiment("one more handle, with 10 000 open to with few", handle, HANDLES),
  experiment("one more child, with 1 000 running to with few", child, CHILDREN),
];
