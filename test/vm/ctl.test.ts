/** `inguest ctl` with machines: through libvirt, over virtio-serial and over vsock. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ctlCommand, newFolder } from "../cli/agents.ts";
import { describeWith } from "../lab/apt.ts";
import { type Finished, mustRun, run } from "../lab/process.ts";
import { agentInGuest, agentPath, compiledAgent } from "./agent.ts";
import { type Domain, type Libvirt, libvirtAvailability, startDomain, startLibvirt } from "./libvirt.ts";
import { startVm, type Vm } from "./vm.ts";

// Bun kills a test's children when its time is up, and libvirtd is one of them: our own limits must come first.
setDefaultTimeout(200_000);

const MIB = 24;
const ready = await libvirtAvailability(compiledAgent);
const folder = newFolder();
afterAll(() => rmSync(folder, { recursive: true }));

const hashOf = async (path: string): Promise<string> => (await mustRun(["sha256sum", path])).slice(0, 64);

describeWith("ctl --libvirt", ready, () => {
  let libvirt: Libvirt;
  let domain: Domain;

  beforeAll(async () => {
    libvirt = await startLibvirt();
    domain = await startDomain(libvirt, await agentInGuest());
    // The libvirt of this test is in a mount namespace of its own.
    mkdirSync(join(folder, "bin"));
    const real = Bun.which("virsh") ?? "virsh";
    const words = libvirt.command.map((word) => (word === "virsh" ? real : word)).join(" ");
    await Bun.write(join(folder, "bin/virsh"), `#!/bin/sh\nexec ${words} "$@"\n`);
    chmodSync(join(folder, "bin/virsh"), 0o755);
  });

  afterAll(async () => {
    await domain?.stop();
    await libvirt?.stop();
  });

  const env = () => ({ PATH: `${join(folder, "bin")}:${process.env.PATH}` });
  const ctl = (...args: string[]): Promise<Finished> =>
    run(ctlCommand("--libvirt", domain.name, ...args), { env: env(), timeoutMs: 150_000 });

  test("verbs", async () => {
    expect((await ctl("ping")).exitCode).toBe(0);
    const { exitCode, stdout } = await ctl("info");
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ freeze: "thawed" });
    expect(await ctl("exec", "sh", "-c", "echo out; echo err >&2; exit 7")).toEqual({
      exitCode: 7,
      stdout: "out\n",
      stderr: "err\n",
    });
    expect((await ctl("raw", '{"execute": "guest-ping"}')).stdout).toBe('{"return": {}}\n');
    const failed = await ctl("guest-file-close", "handle=7");
    expect(failed.exitCode).toBe(1);
    expect(failed.stderr).toContain("handle '7' has not been found");
    expect((await ctl("raw", '{"execute": "guest-nope"}')).exitCode).toBe(1);
    const nobody = await run(ctlCommand("--libvirt", "none", "ping"), { env: env() });
    expect(nobody.exitCode).toBe(3);
    expect(nobody.stderr).toMatch(/^inguest ctl: none: [^\n]*failed to get domain[^\n]*\n$/);
  });

  test("a pull beside a loop of virsh, and a push", async () => {
    await domain.shell(`head -c ${MIB << 20} /dev/urandom >/tmp/large`, 60_000);
    const loop = `
      request() { virsh qemu-agent-command "$DOMAIN" "$1"; }
      handle=$(request '{"execute":"guest-file-open","arguments":{"path":"/tmp/large"}}' | tr -dc 0-9)
      while :; do
        reply=$(request "{\\"execute\\":\\"guest-file-read\\",\\"arguments\\":{\\"handle\\":$handle,\\"count\\":$COUNT}}")
        printf %s "$reply" | sed -n 's/.*"buf-b64":"\\([^"]*\\)".*/\\1/p' | base64 -d
        case $reply in *'"eof":true'*) break ;; *'"eof":false'*) ;; *) exit 1 ;; esac
      done
      request "{\\"execute\\":\\"guest-file-close\\",\\"arguments\\":{\\"handle\\":$handle}}" >&2
    `;
    const hash = (await domain.shell("sha256sum </tmp/large", 60_000)).stdout.slice(0, 64);
    const looped = join(folder, "looped");
    const rates: Record<string, number> = {};
    const timed = async (name: string, mebibytes: number, work: () => Promise<unknown>): Promise<void> => {
      const started = performance.now();
      await work();
      rates[name] = Math.round((mebibytes * 100_000) / (performance.now() - started)) / 100;
    };
    for (const count of [65_536, 1_048_576]) {
      const words = { ...env(), DOMAIN: domain.name, COUNT: String(count) };
      await timed(`virsh loop, ${count >> 10} KiB`, MIB, () =>
        mustRun(["sh", "-c", `{ ${loop} } >'${looped}'`], { env: words }),
      );
      expect(await hashOf(looped)).toBe(hash);
    }
    const copy = join(folder, "large");
    await timed("ctl pull --no-verify", MIB, async () => {
      expect((await ctl("pull", "--no-verify", "/tmp/large", copy)).exitCode).toBe(0);
    });
    expect(await hashOf(copy)).toBe(hash);
    await timed("ctl pull, verified", MIB, async () => {
      expect(JSON.parse((await ctl("pull", "/tmp/large", copy)).stdout)).toMatchObject({ proof: "checksum" });
    });
    const small = join(folder, "small");
    await mustRun(["sh", "-c", `head -c 3M '${copy}' >'${small}'`]);
    await timed("ctl push, verified", 3, async () => {
      expect(JSON.parse((await ctl("push", small, "/tmp/small")).stdout)).toMatchObject({ proof: "checksum" });
    });
    console.log("MiB/s through libvirt:", rates);
    expect(rates["ctl pull --no-verify"] ?? 0).toBeGreaterThan(rates["virsh loop, 64 KiB"] ?? 0);
  });
});

describeWith("ctl without libvirt", ready, () => {
  let vm: Vm;

  beforeAll(async () => {
    vm = await startVm(await agentInGuest());
    (await vm.waitForAgent()).close();
  });
  afterAll(() => vm?.stop());

  test("over virtio-serial", async () => {
    await vm.guest(`head -c ${MIB << 20} /dev/urandom >/tmp/large`, 60_000);
    const copy = join(folder, "virtio");
    const ctl = async (...args: string[]): Promise<Record<string, unknown>> =>
      JSON.parse(await mustRun(ctlCommand("--socket", vm.agentSocket(), ...args), { timeoutMs: 150_000 }));
    const pulled = await ctl("pull", "/tmp/large", copy);
    expect(pulled).toMatchObject({ proof: "checksum", bytes: MIB << 20 });
    const pushed = await ctl("push", copy, "/tmp/back");
    expect(pushed).toMatchObject({ proof: "checksum", bytes: MIB << 20 });
    const rate = ({ bytes, seconds }: Record<string, unknown>): string =>
      `${(Number(bytes) / Number(seconds) / (1 << 20)).toFixed(1)} MiB/s`;
    console.log(`over virtio-serial: pull ${rate(pulled)}, push ${rate(pushed)}`);
  });

  describe("over vsock", () => {
    test("in the guest, with itself", async () => {
      await vm.guest(`${agentPath} -m vsock-listen -p 1:4567 -t /tmp -f /tmp/vsock.pid >/tmp/vsock.log 2>&1 & sleep 2`);
      expect(await vm.guest(`${agentPath} ctl --vsock 1:4567 raw '{"execute": "guest-ping"}'`, 60_000)).toBe(
        '{"return": {}}',
      );
      await vm.guest("head -c 2000000 /dev/urandom >/tmp/v");
      const pulled = await vm.guest(`${agentPath} ctl --vsock 1:4567 pull /tmp/v /tmp/v.copy`, 60_000);
      expect(JSON.parse(pulled)).toMatchObject({ proof: "checksum" });
      expect(await vm.guest(`${agentPath} ctl --vsock 1:4568 ping 2>&1; echo $?`)).toMatch(
        /^inguest ctl: connect .*\n3$/,
      );
    });
  });
});
