/** An agent that libvirt talks with: the socket is libvirt's, so that each request goes through `virsh`. */
import type { Json } from "../../framing/json.ts";
import { toJson, type Writable } from "../../framing/json.ts";
import { AgentError, type Client, ConnectionError, readReply, resultOf } from "../client.ts";

/**
 * A request is one word of a command line, which is 128 KiB long at most (execve(2), MAX_ARG_STRLEN); an answer is one
 * string of libvirt's protocol, 4 MiB at most.
 */
const LIMITS = { read: 2 << 20, write: 90 * 1024, pipelined: false } as const;

/** How libvirt words what the agent has answered. */
const REFUSED = /unable to execute QEMU agent command '[^']*': (.*)/s;
/** libvirt has waited for as long as it should. */
const SILENCE = /guest agent is not responding/i;

/** Commands that go down with the guest are answered by nothing; an error comes at once. */
const SILENT_SECONDS = 5;

interface Outcome {
  readonly exitCode: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

async function runVirsh(words: readonly string[]): Promise<Outcome> {
  // In a session of its own: Ctrl-C must not end a request whose answer then would be lost.
  const child = Bun.spawn(["virsh", ...words], { stdin: "ignore", stdout: "pipe", stderr: "pipe", detached: true });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).arrayBuffer(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { exitCode, stdout: Buffer.from(stdout), stderr: stderr.replace(/^error: /, "").trim() };
}

/**
 * @param timeout milliseconds to wait for each answer; Infinity for no limit
 * @throws ConnectionError when there is no virsh
 */
export function createVirshClient(domain: string, timeout: number): Client {
  if (Bun.which("virsh") === null) throw new ConnectionError("virsh is not installed, or not in PATH");
  let last: Promise<unknown> = Promise.resolve();

  const request = async (text: string, patience: number): Promise<Buffer> => {
    const limit = Number.isFinite(patience)
      ? ["--timeout", String(Math.max(1, Math.ceil(patience / 1000)))]
      : ["--block"];
    const { exitCode, stdout, stderr } = await runVirsh([
      "qemu-agent-command",
      ...limit,
      "--domain",
      domain,
      "--cmd",
      text,
    ]);
    if (exitCode === 0) return stdout;
    const refusal = REFUSED.exec(stderr)?.[1];
    if (refusal === undefined) throw new ConnectionError(`${domain}: ${stderr || `virsh ended with ${exitCode}`}`);
    throw new AgentError("GenericError", refusal);
  };
  /** One after the other, as they were asked for. */
  const inTurn = (text: string, patience: number): Promise<Buffer> => {
    const answer = last.then(() => request(text, patience));
    last = answer.catch(() => undefined);
    return answer;
  };
  const say = (execute: string, values: Writable): string => toJson({ execute, arguments: values });

  return {
    limits: LIMITS,
    async sync() {
      // libvirt does that by itself; this only finds out whether somebody is there.
      await inTurn(say("guest-ping", {}), timeout);
    },
    async call(command, values, patience = timeout) {
      return resultOf(await inTurn(say(command, values), patience), domain);
    },
    async callSilent(command, values) {
      try {
        await inTurn(say(command, values), Math.min(timeout, SILENT_SECONDS * 1000));
      } catch (error) {
        if (!(error instanceof ConnectionError && SILENCE.test(error.message))) throw error;
      }
    },
    async raw(text): Promise<Json> {
      try {
        const answer = await inTurn(text, timeout);
        return readReply(answer) ?? resultOf(answer, domain);
      } catch (error) {
        if (!(error instanceof AgentError)) throw error;
        return { error: { class: error.errorClass, desc: error.description } };
      }
    },
    async close() {
      await last;
    },
  };
}
