/** `npm start`, with and without `--once`. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { mustRun, run, waitFor } from "./lab/process.ts";

const root = resolve(import.meta.dir, "..");
const demo = [process.execPath, "run", "test/demo.ts"];
const socketIn = (text: string): string => /\S+agent\.sock/.exec(text)?.[0] ?? "";

test("--once shows the conversation and leaves nothing", async () => {
  const { exitCode, stdout, stderr } = await run([...demo, "--once"], { cwd: root, timeoutMs: 20_000 });
  expect(stderr).toBe("");
  expect(exitCode).toBe(0);
  expect(stdout).toContain("host  guest-ping\nguest {}\n");
  expect(stdout).toContain('which is "hello from the host\\n"');
  expect(stdout).toContain('which is "Linux ');
  expect(stdout).toContain("guest CommandNotFound: The command guest-make-coffee has not been found");
  expect(stdout).not.toContain("Your turn");
  expect(existsSync(resolve(socketIn(stdout), ".."))).toBe(false);
}, 30_000);

test.each(["SIGINT", "SIGTERM"] as const)(
  "it stays for the user until %s",
  async (signal) => {
    const child = Bun.spawn(demo, { cwd: root, stdout: "pipe", stderr: "pipe", stdin: "ignore" });
    let stdout = "";
    const reading = (async () => {
      const decoder = new TextDecoder();
      for await (const chunk of child.stdout) stdout += decoder.decode(chunk, { stream: true });
    })();
    try {
      await waitFor(
        () => (/guest-exec path=.*\n/.test(stdout) ? true : undefined),
        20_000,
        () => stdout,
      );
      const invitation = stdout.slice(stdout.indexOf("Your turn"));
      const commands = invitation.split("\n").filter((line) => line.startsWith("  "));
      expect(commands).toHaveLength(3);
      for (const command of commands) JSON.parse(await mustRun(["sh", "-c", command], { cwd: root }));
      expect(existsSync(socketIn(stdout))).toBe(true);
    } finally {
      child.kill(signal);
    }
    expect(await child.exited).toBe(0);
    await reading;
    expect(existsSync(resolve(socketIn(stdout), ".."))).toBe(false);
  },
  30_000,
);
