/** The examples for tools that set up machines, as those tools see them. */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Availability, availabilityOf, describeWith, ensurePackages } from "../lab/apt.ts";
import { type Finished, mustRun, run } from "../lab/process.ts";
import { compiledAgent } from "../vm/agent.ts";
import { debianRoot, debianRootPackages } from "../vm/debian-root.ts";
import { shellQuote } from "../vm/image.ts";

setDefaultTimeout(120_000);

const PACKAGING = resolve(import.meta.dir, "../../packaging");
const TOOLS = ["cloud-init", "ansible-core", "ignition", "systemd-sysv"];

async function availability(): Promise<Availability> {
  if (process.getuid?.() !== 0) return { available: false, reason: "not root" };
  const packages = await ensurePackages([...debianRootPackages, "util-linux"]);
  return packages.available ? availabilityOf(() => Promise.all([debianRoot(TOOLS), compiledAgent()])) : packages;
}

describeWith("tools that set up machines", await availability(), () => {
  let folder: string;
  let system: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "inguest-provisioning-"));
    system = join(folder, "system");
    await mustRun(["cp", "-a", await debianRoot(TOOLS), system]);
    await mustRun(["cp", "-a", PACKAGING, join(system, "srv/packaging")]);
    await mustRun(["cp", await compiledAgent(), join(system, "srv/inguest-linux-x64")]);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** Runs a command in the system, which has /proc and an empty /dev/shm for its time. */
  const inSystem = (command: string): Promise<Finished> => {
    const mounts = `mount -t proc proc ${system}/proc && mount -t tmpfs tmpfs ${system}/dev/shm`;
    const chroot = `exec chroot ${system} env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 sh -c`;
    const script = `mkdir -p ${system}/dev/shm && ${mounts} && ${chroot} ${shellQuote(command)}`;
    return run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script]);
  };

  const examples = readdirSync(join(PACKAGING, "cloud-init"));

  test.each(examples)("cloud-init takes %s", async (name) => {
    const { exitCode, stdout, stderr } = await inSystem(
      `cloud-init schema --config-file /srv/packaging/cloud-init/${name}`,
    );
    expect(stderr).toBe("");
    expect(stdout).toStartWith("Valid cloud-config: ");
    expect(exitCode).toBe(0);
  });

  test("and would find an error", async () => {
    await Bun.write(join(system, "srv/wrong.yaml"), "#cloud-config\nruncmd: 7\n");
    const { exitCode } = await inSystem("cloud-init schema --config-file /srv/wrong.yaml");
    expect(exitCode).toBe(1);
  });

  test("download.yaml runs no file that has another checksum", async () => {
    const { write_files: files } = Bun.YAML.parse(
      await Bun.file(join(PACKAGING, "cloud-init/download.yaml")).text(),
    ) as { write_files: readonly { path: string; content: string }[] };
    await using server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: async () => new Response(Bun.file(await compiledAgent())),
    });
    const contentOf = (end: string): string => files.find(({ path }) => path.endsWith(end))?.content ?? "";
    const install = async (sum: string): Promise<Finished> => {
      await Bun.write(join(system, "var/tmp/inguest/SHA256SUMS"), contentOf("SHA256SUMS").replace(/^0{64}/, sum));
      const script = contentOf("fetch.sh")
        .replace(/from=.*/, `from=${server.url.origin}`)
        .replace("--replace", "--dry-run");
      await Bun.write(join(system, "var/tmp/inguest/fetch.sh"), script);
      return inSystem("sh /var/tmp/inguest/fetch.sh");
    };
    const refused = await install("1".repeat(64));
    expect(refused).toMatchObject({ exitCode: 1, stdout: "inguest-linux-x64: FAILED\n" });
    const right = (await mustRun(["sha256sum", await compiledAgent()])).split(" ")[0] ?? "";
    expect((await install(right)).stdout).toMatch(/^inguest-linux-x64: OK\nto do {2}write /);
  });

  test("Ignition takes inguest.ign, which is what inguest.bu says", async () => {
    const { exitCode, stderr } = await inSystem("ignition-validate /srv/packaging/ignition/inguest.ign");
    expect(stderr).toBe("");
    expect(exitCode).toBe(0);
    const source = await Bun.file(join(PACKAGING, "ignition/inguest.bu")).text();
    // Butane reads 0755 as octal, as YAML 1.1 has it.
    const butane = Bun.YAML.parse(source.replace("mode: 0755", `mode: ${0o755}`));
    const ignition = await Bun.file(join(PACKAGING, "ignition/inguest.ign")).json();
    expect({ variant: "fcos", version: "1.1.0", ...ignition, ignition: undefined }).toEqual(butane);
    expect(ignition.ignition).toEqual({ version: "3.1.0" });
  });

  /** The playbook, with our executable in the place of the download. */
  const play = (...options: readonly string[]): Promise<Finished> =>
    inSystem(
      [
        "printf '[guests]\\nlocalhost ansible_connection=local ansible_python_interpreter=/usr/bin/python3\\n' >/srv/inventory",
        `ansible-playbook -i /srv/inventory ${options.join(" ")} /srv/packaging/ansible/inguest.yml`,
      ].join(" && "),
    );

  test("Ansible understands the playbook", async () => {
    const { exitCode, stdout, stderr } = await play("--syntax-check");
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout.trim()).toBe("playbook: /srv/packaging/ansible/inguest.yml");
  });

  test("Ansible installs the agent, and changes nothing the second time", async () => {
    const sum = (await mustRun(["sha256sum", await compiledAgent()])).split(" ")[0];
    const values = { inguest_from: "file:///srv", inguest_sha256: { x86_64: sum } };
    const options = ["-e", shellQuote(JSON.stringify(values)), "-e ansible_become=false"];
    const first = await play(...options);
    expect(first.stdout + first.stderr).toMatch(/localhost +: ok=4 +changed=3 .*failed=0/);
    const unit = await Bun.file(join(system, "etc/systemd/system/inguest.service")).text();
    expect(unit).toContain("ExecStart=/usr/local/bin/inguest");
    const second = await play(...options);
    expect(second.stdout + second.stderr).toMatch(/localhost +: ok=4 +changed=0 .*failed=0/);
  });

  test("Ansible refuses an executable with another checksum", async () => {
    const values = { inguest_from: "file:///srv", inguest_sha256: { x86_64: "1".repeat(64) } };
    const { exitCode, stdout } = await play("-e", shellQuote(JSON.stringify(values)), "-e ansible_become=false");
    expect(exitCode).not.toBe(0);
    expect(stdout).toContain("checksum");
  });
});
