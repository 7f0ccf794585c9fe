/** Every dialect on standard input and output, which may be pipes and files. */
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inguestCommand } from "../lab/agent.ts";

const PING = '{"execute": "guest-ping"}\n{"execute": "guest-sync", "arguments": {"id": 7}}\n';
const ANSWERS = '{"return": {}}\n{"return": 7}\n';

/** Runs the agent to the end of its input. */
async function converse(args: readonly string[], input: string, output: "pipe" | "file"): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "inguest-stdio-"));
  try {
    const [from, to] = [join(folder, "in"), join(folder, "out")];
    await Bun.write(from, input);
    const words = [...inguestCommand, "-m", "stdio", "-t", folder, ...args].map((word) => `'${word}'`).join(" ");
    const line = output === "pipe" ? `cat ${from} | ${words} | cat > ${to}` : `${words} < ${from} > ${to}`;
    const { exitCode } = Bun.spawnSync(["sh", "-c", line], { timeout: 20_000 });
    expect(exitCode).toBe(0);
    return await Bun.file(to).text();
  } finally {
    await rm(folder, { recursive: true });
  }
}

test.each(["pipe", "file"] as const)("requests of a %s are answered until its end", async (kind) => {
  expect(await converse([], PING, kind)).toBe(ANSWERS);
});

test("EayunStack's dialect", async () => {
  expect(await converse(["--dialect", "eayun"], '{"operation": "echo"}\n', "pipe")).toBe('{"operation": "echo"}\n');
});
