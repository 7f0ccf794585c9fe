/** `inguest ctl mem`: the guest's memory. */
import type { Json } from "../../framing/json.ts";
import { AgentError, type Client } from "../client.ts";
import { type Facts, factOf, known } from "./facts.ts";
import { readToEnd, withFile } from "./guest-files.ts";
import { isTrue, itemsOf, numberOf } from "./reply.ts";
import { bytesText, percentText } from "./units.ts";
import { EXIT, show, TaskError, type Verb } from "./verb.ts";

const MEMINFO = "/proc/meminfo";

/** Bytes by the kernel's names for them (proc(5)). */
export function parseMeminfo(text: string): Readonly<Record<string, number>> {
  const lines = text.matchAll(/^(\w+(?:\(\w+\))?):\s+(\d+) kB$/gm);
  return Object.fromEntries(Array.from(lines, ([, name = "", kibibytes]) => [name, Number(kibibytes) * 1024]));
}

/** The kernel's own account; undefined where it is none of Linux, or must not be read. @throws ConnectionError */
async function readMeminfo(client: Client, interrupted: AbortSignal): Promise<Json | undefined> {
  const slices: Buffer[] = [];
  try {
    await withFile(client, MEMINFO, "r", (handle) =>
      readToEnd(client, handle, (bytes) => slices.push(bytes), interrupted),
    );
  } catch (error) {
    if (error instanceof AgentError) return undefined;
    throw error;
  }
  return parseMeminfo(Buffer.concat(slices).toString("utf8"));
}

function blocksOf(blocks: Json | undefined, info: Json | undefined): Json | undefined {
  const size = numberOf(info, "size");
  if (blocks === undefined || size === undefined) return undefined;
  const all = itemsOf(blocks);
  return { size, count: all.length, online: all.filter((block) => isTrue(block, "online")).length };
}

function view({ meminfo, blocks }: Facts): Json {
  const amount = (name: string): string | undefined => {
    const bytes = numberOf(meminfo, name);
    return bytes === undefined ? undefined : bytesText(bytes);
  };
  const [total, available] = [numberOf(meminfo, "MemTotal"), numberOf(meminfo, "MemAvailable")];
  const isKnown = total !== undefined && available !== undefined;
  const [size, online, count] = [numberOf(blocks, "size"), numberOf(blocks, "online"), numberOf(blocks, "count")];
  return known({
    total: amount("MemTotal"),
    used: isKnown ? `${bytesText(total - available)} (${percentText(total - available, total)})` : undefined,
    available: amount("MemAvailable"),
    free: amount("MemFree"),
    "page cache": amount("Cached"),
    swap: amount("SwapTotal"),
    "swap free": amount("SwapFree"),
    blocks: size && count ? `${online} of ${count} online, ${bytesText(size)} each` : undefined,
  });
}

export const mem = {
  name: "mem",
  summary: "tell how much memory there is, and how much of it is in use",
  operands: "",
  count: [0, 0],
  details: ["Read from the memory blocks of the guest, and from /proc/meminfo where files may be read."],
  async run(context) {
    const { client, interrupted } = context;
    const blocks = await factOf(client, "guest-get-memory-blocks");
    const info = await factOf(client, "guest-get-memory-block-info");
    const facts = known({ meminfo: await readMeminfo(client, interrupted), blocks: blocksOf(blocks, info) });
    if (Object.keys(facts).length === 0) throw new TaskError("the agent tells nothing about memory");
    show(context, facts, view(facts));
    return EXIT.success;
  },
} as const satisfies Verb;
