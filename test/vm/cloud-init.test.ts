/** Guests that cloud-init brings up with our user-data, until their hosts get an answer. */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describeWith, ensurePackages } from "../lab/apt.ts";
import { mustRun } from "../lab/process.ts";
import { compiledAgent } from "./agent.ts";
import { debianDisk, debianDiskPackages, debianGuest } from "./debian-root.ts";
import { startVm, type Vm, vmAvailability } from "./vm.ts";

// Under emulation, cloud-init takes its time.
const BOOT_MS = 300_000;
setDefaultTimeout(BOOT_MS + 60_000);

const EXAMPLES = resolve(import.meta.dir, "../../packaging/cloud-init");
const PACKAGES = ["cloud-init", "ifupdown", "isc-dhcp-client", "iproute2", "netbase"];
/** Where and what cloud-init looks for; what it would do in a larger system, with its languages and keys, is left out. */
const SETTINGS = {
  "/etc/cloud/cloud.cfg.d/90-lab.cfg": [
    "datasource_list: [NoCloud]",
    "cloud_init_modules: [write-files, set_hostname, update_hostname]",
    "cloud_config_modules: [runcmd]",
    "cloud_final_modules: [scripts-user, final-message]",
    "",
  ].join("\n"),
};
const FILE = "inguest-linux-x64";
/** The address at which the guest finds the test's web server. */
const SERVER = "10.0.2.100";

const packages = await ensurePackages([...debianDiskPackages, "xorriso", "socat"]);
const ready = packages.available ? await vmAvailability(compiledAgent, () => debianDisk(PACKAGES, SETTINGS)) : packages;

describeWith("cloud-init", ready, () => {
  let folder: string;
  let executable: string;
  let checksums: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "inguest-cloud-init-"));
    executable = await compiledAgent();
    checksums = `${(await mustRun(["sha256sum", executable])).split(" ")[0]}  ${FILE}\n`;
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** An image with the label by which cloud-init finds it. */
  async function seed(name: string, files: Readonly<Record<string, string | Bun.BunFile>>): Promise<string> {
    const source = join(folder, name);
    const image = `${source}.iso`;
    const all = { "meta-data": `instance-id: ${name}\nlocal-hostname: ${name}\n`, ...files };
    for (const [file, content] of Object.entries(all)) await Bun.write(join(source, file), content);
    const words = ["xorriso", "-as", "genisoimage", "-output", image, "-volid", "cidata", "-joliet", "-rational-rock"];
    await mustRun([...words, source]);
    return image;
  }

  async function boot(image: string, ...more: readonly string[]): Promise<Vm> {
    const guest = await debianGuest(await debianDisk(PACKAGES, SETTINGS));
    const drive = `file=${image},id=drive-seed,if=none,format=raw,readonly=on`;
    return startVm({
      ...guest,
      network: false,
      extraArgs: [...guest.extraArgs, "-drive", drive, "-device", "virtio-blk-pci,drive=drive-seed", ...more],
    });
  }

  async function expectAgent(vm: Vm): Promise<void> {
    const status = await vm.shell("cloud-init status --wait --long", BOOT_MS);
    const output = await vm.guest("cat /var/log/cloud-init-output.log");
    expect(`${status.stdout}${output}`).toContain("\nstatus: done\n");
    const agent = await vm.waitForAgent();
    expect(await agent.call("guest-ping")).toEqual({});
    expect(await agent.call("guest-get-host-name")).toEqual({ "host-name": await vm.guest("hostname") });
    expect(await vm.guest("systemctl is-active inguest.service")).toBe("active");
    expect(await vm.guest("ls -d /var/tmp/inguest /run/inguest 2>/dev/null || true")).toBe("");
  }

  test("attached-disk.yaml: the disk of the user-data has the executable", async () => {
    const image = await seed("disk", {
      "user-data": Bun.file(join(EXAMPLES, "attached-disk.yaml")),
      "install.sh": Bun.file(join(EXAMPLES, "../install.sh")),
      [FILE]: Bun.file(executable),
      SHA256SUMS: checksums,
    });
    await using vm = await boot(image);
    await expectAgent(vm);
  });

  /** The example with a web server of ours and these checksums. */
  async function downloading(name: string, sums: string): Promise<string> {
    const text = await Bun.file(join(EXAMPLES, "download.yaml")).text();
    const filled = text
      .replace("https://downloads.example.com/inguest", `http://${SERVER}/files`)
      .replace(/^ *0{64} {2}inguest-linux-x64\n/m, `      ${sums}`);
    expect(filled).toContain(SERVER);
    expect(filled).toContain(sums);
    return seed(name, { "user-data": filled });
  }

  async function bootWithServer(image: string): Promise<Vm & { asked: readonly string[] }> {
    const asked: string[] = [];
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch(request) {
        const { pathname } = new URL(request.url);
        asked.push(pathname);
        return pathname === `/files/${FILE}` ? new Response(Bun.file(executable)) : new Response("", { status: 404 });
      },
    });
    const forward = `guestfwd=tcp:${SERVER}:80-cmd:socat - TCP:127.0.0.1:${server.port}`;
    const card = ["-netdev", `user,id=net,restrict=on,${forward}`, "-device", "virtio-net-pci,netdev=net,romfile="];
    const vm = await boot(image, ...card);
    const stop = async (): Promise<void> => {
      await vm.stop();
      await server.stop(true);
    };
    return { ...vm, asked, stop, [Symbol.asyncDispose]: stop };
  }

  test("download.yaml: the executable comes from a web server", async () => {
    await using vm = await bootWithServer(await downloading("download", checksums));
    await expectAgent(vm);
    expect(vm.asked).toEqual([`/files/${FILE}`]);
  });
});
