/**
 * `npm start`: an agent of the sources on a socket of its own, a host that talks with it, and then the user's turn.
 * With `--once` it ends after the conversation.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { inguestCommand, type RunningAgent, startAgent } from "./lab/agent.ts";
import { AgentError, connect, isObject, type Json, printJson, type QgaClient } from "./lab/qga-client.ts";

const paint =
  (code: number) =>
  (text: string): string =>
    process.stdout.isTTY ? `\x1b[${code}m${text}\x1b[0m` : text;
const bold = paint(1);
const dim = paint(2);
const red = paint(31);
const green = paint(32);
const blue = paint(34);

const say = (text = ""): void => console.log(text);
const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** A reply longer than some lines is cut: guest-info alone has thousands of characters. */
function shorten(text: string): string {
  const room = 3 * (process.stdout.columns || 100);
  return text.length <= room ? text : `${text.slice(0, room)}${dim(` ... ${text.length - room} more characters`)}`;
}

/** A request and its reply, as they go over the line. */
async function exchange(client: QgaClient, execute: string, values?: Json): Promise<Json> {
  say(`${blue("host ")} ${bold(execute)} ${values === undefined ? "" : printJson(values)}`.trimEnd());
  try {
    const result = await client.call(execute, values);
    say(`${green("guest")} ${shorten(printJson(result))}`);
    return result;
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    say(`${red("guest")} ${error.message}`);
    return null;
  }
}

const member = (value: Json, name: string): Json => (isObject(value) ? (value[name] ?? null) : null);

async function converse(client: QgaClient, folder: string): Promise<void> {
  say(`\n${bold("Is anybody there?")}`);
  await client.sync();
  await exchange(client, "guest-ping");
  await exchange(client, "guest-info");

  say(`\n${bold("Which system is it?")}`);
  await exchange(client, "guest-get-osinfo");
  await exchange(client, "guest-get-host-name");

  say(`\n${bold("Write a file, and read it again")}`);
  const path = join(folder, "note.txt");
  const handle = await exchange(client, "guest-file-open", { path, mode: "w+" });
  await exchange(client, "guest-file-write", { handle, "buf-b64": base64("hello from the host\n") });
  await exchange(client, "guest-file-seek", { handle, offset: 0, whence: "set" });
  const read = await exchange(client, "guest-file-read", { handle });
  say(dim(`      which is ${JSON.stringify(Buffer.from(String(member(read, "buf-b64")), "base64").toString())}`));
  await exchange(client, "guest-file-close", { handle });

  say(`\n${bold("Run a program")}`);
  const started = await exchange(client, "guest-exec", { path: "uname", arg: ["-sr"], "capture-output": true });
  const pid = member(started, "pid");
  let status = await exchange(client, "guest-exec-status", { pid });
  while (member(status, "exited") === false) {
    await Bun.sleep(50);
    status = await exchange(client, "guest-exec-status", { pid });
  }
  say(dim(`      which is ${JSON.stringify(Buffer.from(String(member(status, "out-data")), "base64").toString())}`));

  say(`\n${bold("Ask for what it cannot do")}`);
  await exchange(client, "guest-file-open", { path: "/does/not/exist" });
  await exchange(client, "guest-make-coffee");
}

/** What the user types to talk with the agent. */
function ctlCommand(socketPath: string, command: string): string {
  const words = inguestCommand.map((word) => relative(process.cwd(), resolve(word)));
  return [...words, "ctl", "--socket", socketPath, command].join(" ");
}

function invite(socketPath: string): void {
  say(`\n${bold("Your turn.")} The agent stays until Ctrl-C. In another terminal, in ${process.cwd()}:`);
  for (const command of [
    "guest-get-osinfo",
    "guest-network-get-interfaces",
    "guest-exec path=id capture-output=true",
  ]) {
    say(`  ${ctlCommand(socketPath, command)}`);
  }
}

/** Resolves when the user has had enough, or the agent has: a Ctrl-C reaches both of them. */
function untilStopped(agent: RunningAgent): Promise<unknown> {
  const { promise, resolve: stop } = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => stop());
  return Promise.race([promise, agent.ended]);
}

async function demonstrate(folder: string, once: boolean): Promise<void> {
  const socketPath = join(folder, "agent.sock");
  const agent = await startAgent(inguestCommand, { socketPath, stateDir: join(folder, "state") });
  const stopped = untilStopped(agent);
  try {
    say(`An agent listens on ${bold(socketPath)}, as process ${agent.pid}.`);
    const client = await connect(socketPath);
    await converse(client, folder);
    client.close();
    if (once) return;
    invite(socketPath);
    await stopped;
  } finally {
    await agent.stop();
  }
}

const folder = await mkdtemp(join(tmpdir(), "inguest-demo-"));
try {
  await demonstrate(folder, process.argv.includes("--once"));
} finally {
  await rm(folder, { recursive: true });
}
process.exit(0);
