/** The recorded requests and more, asked of our agent and of real ones beside it, compared member by member. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inguestCommand, type RunningAgent, startAgent } from "../lab/agent.ts";
import { availabilityOf, describeWith, ensurePackages } from "../lab/apt.ts";
import { obtainPeer } from "../lab/peer.ts";
import { mustRun } from "../lab/process.ts";
import { isObject, parseJson } from "../lab/qga-client.ts";
import { type Conversation, converse } from "./conversation.ts";
import type { PeerName } from "./intended-differences.ts";
import { createJudge } from "./judge.ts";
import { type Outcome, type Request, readRecording } from "./recording.ts";
import { MORE_REQUESTS } from "./requests.ts";
import { openWire, type Wire } from "./wire.ts";

setDefaultTimeout(300_000);

/** Real qemu-ga may report the end of a program before its output is complete. */
const PEER_STATUS_DELAY = 60;
/** Milliseconds for a peer to answer what it may not answer at all. */
const PATIENCE = 150;
/** How often facts are compared anew when a number has moved on between two questions. */
const ATTEMPTS = 5;

const recording = readRecording();
/** What depends on the machine and its clock: asked of the peer before and after us. */
const facts = new Set(recording.filter(({ outcome }) => outcome === undefined).map(({ name }) => name));
/** After these, a real qemu-ga 10 loses what programs read and print: see the intended differences. */
const LAST = ["exec capture stdout", "exec capture stderr"];
const requests: readonly Request[] = [
  ...recording.filter(({ name }) => !LAST.includes(name)),
  ...MORE_REQUESTS,
  ...recording.filter(({ name }) => LAST.includes(name)),
];

interface Party {
  readonly agent: RunningAgent;
  readonly wire: Wire;
  readonly conversation: Conversation;
}

async function invite(command: readonly string[], folder: string, statusDelay: number): Promise<Party> {
  const socketPath = join(folder, "socket");
  const cwd = join(folder, "cwd");
  await mkdir(cwd, { recursive: true });
  const agent = await startAgent(command, { socketPath, stateDir: join(folder, "state"), cwd });
  const wire = await openWire(socketPath);
  return { agent, wire, conversation: converse(wire, { file: join(folder, "file"), statusDelay }) };
}

interface Answers {
  readonly theirs: Outcome;
  readonly ours: Outcome;
  readonly after: Outcome | undefined;
}

const commandOf = (request: Request): string | undefined => /"execute": ?"(guest-[a-z-]+)"/.exec(request.send)?.[1];

/** The commands that an agent lists. */
async function commandsOf(command: readonly string[]): Promise<Set<string>> {
  const folder = await mkdtemp(join(tmpdir(), "inguest-live-"));
  const { agent, wire } = await invite(command, folder, 0);
  const info = parseJson((await wire.exchange(['{"execute": "guest-info"}'])).reply);
  wire.close();
  await agent.stop();
  await rm(folder, { recursive: true, force: true });
  const list = isObject(info) && isObject(info.return) ? info.return.supported_commands : undefined;
  if (!Array.isArray(list)) throw new Error("guest-info lists no commands");
  return new Set(list.map((entry) => (isObject(entry) ? String(entry.name) : "")));
}

/** @param concerned which requests the peer can be asked */
function compareWith(peer: PeerName, command: readonly string[], concerned: readonly Request[]): void {
  const judge = createJudge(peer);
  const answers = new Map<string, Answers>();
  let folder: string;
  let parties: Party[] = [];

  const compare = async (request: Request, theirs: Conversation, ours: Conversation): Promise<Answers> => {
    const isFact = facts.has(request.name);
    for (let attempt = 1; ; attempt++) {
      const first = await theirs.ask(request, PATIENCE);
      const own = await ours.ask(request, first.prompt ? undefined : PATIENCE);
      const found: Answers = { theirs: first, ours: own, after: isFact ? await theirs.ask(request) : undefined };
      const isSettled = judge.judge(request.name, found.theirs, found.ours, found.after) === undefined;
      if (!isFact || isSettled || attempt === ATTEMPTS) return found;
    }
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "inguest-live-"));
    const theirs = await invite(command, join(folder, "peer"), PEER_STATUS_DELAY);
    parties = [theirs];
    const ours = await invite(inguestCommand, join(folder, "own"), 0);
    parties = [theirs, ours];
    for (const request of concerned) {
      answers.set(request.name, await compare(request, theirs.conversation, ours.conversation));
    }
  });

  afterAll(async () => {
    for (const { wire, agent } of parties) {
      wire.close();
      await agent.stop();
    }
    await rm(folder, { recursive: true, force: true });
  });

  for (const { name } of concerned) {
    test(name, () => {
      const found = answers.get(name);
      if (found === undefined) throw new Error("the conversation ended before this request");
      expect(judge.judge(name, found.theirs, found.ours, found.after)).toBeUndefined();
    });
  }

  test("every intended difference still is one", () => {
    expect(judge.unused()).toEqual([]);
  });
}

let newest: readonly string[] = [];
const newestReady = await availabilityOf(async () => {
  newest = (await obtainPeer()).command;
});
describeWith("side by side with qemu-ga 10", newestReady, () => compareWith("10", newest, requests));

/** The machine's own agent, which may be of an older series. */
const OWN_PEER = "/usr/sbin/qemu-ga";
let ownBanner = "";
let ownCommands = new Set<string>();
const ownReady = await availabilityOf(async () => {
  const packages = await ensurePackages(["qemu-guest-agent"]);
  if (!packages.available) throw new Error(packages.reason);
  ownBanner = await mustRun([OWN_PEER, "--version"]);
  ownCommands = await commandsOf([OWN_PEER]);
});
// A release that has series 10 itself has nothing older to compare with.
if (!ownReady.available || ownBanner.includes(" 7.2")) {
  const whatBothHave = requests.filter((request) => ownCommands.has(commandOf(request) ?? "guest-ping"));
  describeWith("side by side with qemu-ga 7.2, what both have", ownReady, () =>
    compareWith("7.2", [OWN_PEER], whatBothHave),
  );
}
