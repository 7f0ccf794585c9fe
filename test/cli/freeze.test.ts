/** `ctl freeze --run`: the filesystems are those of a jail, and no disk of this machine stands still. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describeWith, ensurePackages } from "../lab/apt.ts";
import { dieWithParent, type Finished, run, waitFor } from "../lab/process.ts";
import { jailAvailability, jailPackages, makeJail } from "../linux/mount-jail.ts";
import { ctlCommand, newFolder } from "./agents.ts";

setDefaultTimeout(60_000);

/** Waits for the file that a command makes at its beginning. */
const begun = (mark: string) =>
  waitFor(
    () => existsSync(mark) || undefined,
    10_000,
    () => "the command did not begin",
  );

const packages = await ensurePackages(jailPackages);
const ready = packages.available ? await jailAvailability() : packages;

describeWith("freeze --run", ready, () => {
  /** A jail with two filesystems and our agent, which listens at `socket`. */
  async function makeGuest() {
    const jail = await makeJail();
    await jail.mount("ext4", "/mnt/a");
    await jail.mount("ext4", "/mnt/b");
    const agent = await jail.start();
    agent.client.close();
    const socket = jail.path("/run/agent.sock");
    const freeze = (...args: string[]): Promise<Finished> => run(ctlCommand("--socket", socket, "freeze", ...args));
    const status = async (): Promise<string> =>
      (await run(ctlCommand("--socket", socket, "guest-fsfreeze-status"))).stdout.trim();
    /** Writing would hang if it were frozen. */
    const expectWritable = async (): Promise<void> => {
      await jail.must("timeout 5 sh -c 'echo x >/mnt/a/x && echo x >/mnt/b/x'");
      expect(await status()).toBe('"thawed"');
    };
    return {
      jail,
      agent,
      socket,
      freeze,
      status,
      expectWritable,
      [Symbol.asyncDispose]: () => jail[Symbol.asyncDispose](),
    };
  }

  test("exit codes, and what the command sees", async () => {
    await using guest = await makeGuest();
    const shown = await guest.freeze("--run", 'echo "$INGUEST_FROZEN frozen"; exit 0');
    expect(shown).toMatchObject({ exitCode: 0, stdout: "2 frozen\n" });
    expect(shown.stderr).toMatch(/^inguest ctl: 2 frozen\ninguest ctl: 2 thawed after 0:0\d\n$/);
    expect((await guest.freeze("--run", "exit 5")).exitCode).toBe(5);
    await guest.expectWritable();
    expect((await guest.freeze("-r", "kill -9 $$")).exitCode).toBe(137);
    await guest.expectWritable();
    const one = await guest.freeze("-r", 'echo "$INGUEST_FROZEN"', "-m", "/mnt/b");
    expect(one.stdout).toBe("1\n");
    expect((await guest.freeze()).exitCode).toBe(2);
    await guest.expectWritable();
  });

  test("it really is frozen meanwhile, and thaw ends what another has begun", async () => {
    await using guest = await makeGuest();
    const file = guest.jail.path("/mnt/a/late");
    const command = `(echo x >'${file}') & sleep 0.4; [ -e '${file}' ] && echo written || echo waiting`;
    expect((await guest.freeze("--run", command)).stdout).toBe("waiting\n");
    expect(readFileSync(file, "utf8")).toBe("x\n");
    await guest.expectWritable();
    await run(ctlCommand("--socket", guest.socket, "guest-fsfreeze-freeze"));
    expect(await guest.status()).toBe('"frozen"');
    expect((await run(ctlCommand("--socket", guest.socket, "thaw"))).stdout).toBe("2\n");
    await guest.expectWritable();
  });

  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    test(`${signal} reaches the command, and the guest is thawed`, async () => {
      await using guest = await makeGuest();
      const mark = join(newFolder(), "mark");
      const command = `trap "echo caught >>${mark}; exit 3" INT TERM HUP; echo begun >${mark}; while :; do sleep 0.05; done`;
      const child = Bun.spawn([...dieWithParent, ...ctlCommand("--socket", guest.socket, "freeze", "--run", command)], {
        stdin: "ignore",
        stderr: "ignore",
      });
      await begun(mark);
      child.kill(signal);
      expect(await child.exited).toBe(3);
      expect(readFileSync(mark, "utf8")).toBe("begun\ncaught\n");
      await guest.expectWritable();
    });
  }

  test("Ctrl-C on a terminal reaches the command once", async () => {
    await using guest = await makeGuest();
    const mark = join(newFolder(), "mark");
    const command = `trap "echo caught >>${mark}" INT; echo begun >${mark}; i=0; while [ $i -lt 20 ]; do sleep 0.05; i=$((i+1)); done; exit 4`;
    // Without exec, a shell in between would get the signal too and tell its own end.
    const words = ["exec", ...ctlCommand("--socket", guest.socket, "freeze", "--run", `'${command}'`)].join(" ");
    const terminal = Bun.spawn([...dieWithParent, "script", "-qec", words, "/dev/null"], {
      stdin: "pipe",
      stdout: "ignore",
    });
    await begun(mark);
    terminal.stdin.write("\x03");
    terminal.stdin.flush();
    expect(await terminal.exited).toBe(4);
    expect(readFileSync(mark, "utf8")).toBe("begun\ncaught\n");
    await guest.expectWritable();
  });

  test("a second signal kills a command that does not listen", async () => {
    await using guest = await makeGuest();
    const mark = join(newFolder(), "mark");
    const command = `trap "" INT; echo begun >${mark}; while :; do sleep 0.05; done`;
    const child = Bun.spawn([...dieWithParent, ...ctlCommand("--socket", guest.socket, "freeze", "--run", command)], {
      stdin: "ignore",
      stderr: "ignore",
    });
    await begun(mark);
    child.kill("SIGINT");
    await Bun.sleep(100);
    child.kill("SIGINT");
    expect(await child.exited).toBe(137);
    await guest.expectWritable();
  });

  test("an agent that is started anew meanwhile is found again", async () => {
    await using guest = await makeGuest();
    const mark = join(newFolder(), "mark");
    const child = Bun.spawn(
      [...dieWithParent, ...ctlCommand("--socket", guest.socket, "freeze", "-r", `echo x >${mark}; sleep 2; exit 6`)],
      { stdin: "ignore", stderr: "pipe" },
    );
    await begun(mark);
    guest.agent.kill("SIGKILL");
    await guest.agent.exited;
    const next = await guest.jail.start();
    next.client.close();
    expect(await child.exited).toBe(6);
    expect(await new Response(child.stderr).text()).toContain("trying again to thaw");
    await guest.expectWritable();
  });
});

describe("without an agent", () => {
  test("nothing is run", async () => {
    const { exitCode, stdout } = await run(ctlCommand("--socket", "/nonexistent", "freeze", "--run", "echo run"));
    expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: "" });
  });
});
