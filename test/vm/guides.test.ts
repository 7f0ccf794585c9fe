/** What the guides for libvirt show on a terminal, typed and compared. */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describeWith } from "../lab/apt.ts";
import { mustRun } from "../lab/process.ts";
import { agentInGuest, compiledAgent } from "./agent.ts";
import { type Domain, type Libvirt, libvirtAvailability, startDomain, startLibvirt } from "./libvirt.ts";

setDefaultTimeout(150_000);

const DOCS = resolve(import.meta.dir, "../../docs");
const GUIDES = ["libvirt.md", "snapshot-hooks.md"];
/** What the guides call the machine. */
const NAME = "guest1";

interface Step {
  readonly command: string;
  /** Its lines; "..." stands for any number of them. */
  readonly output: readonly string[];
}

/** What is typed in a guide's blocks of a terminal. */
function stepsOf(guide: string): Step[] {
  const blocks = readFileSync(join(DOCS, guide), "utf8").matchAll(/^```console\n(.*?)^```/gms);
  return [...blocks].flatMap(([, block = ""]) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((step) => {
        const [command = "", ...output] = step.trimEnd().split("\n");
        return { command, output };
      }),
  );
}

/** Takes a line of sh apart. */
async function wordsOf(line: string): Promise<string[]> {
  return (await mustRun(["sh", "-c", `printf '%s\\n' ${line}`])).trimEnd().split("\n");
}

const ready = await libvirtAvailability(compiledAgent);

describeWith("the guides", ready, () => {
  let libvirt: Libvirt;
  let domain: Domain;

  beforeAll(async () => {
    libvirt = await startLibvirt();
    domain = await startDomain(libvirt, {
      ...(await agentInGuest()),
      hostname: "lab-guides",
      disks: [{ name: "data", sizeMB: 64, fs: "ext4", mount: "/mnt/data" }],
    });
  });
  afterAll(async () => {
    await domain?.stop();
    await libvirt?.stop();
  });

  for (const guide of GUIDES) {
    describe(guide, () => {
      const steps = stepsOf(guide);
      test.each(steps)("$command", async ({ command, output }) => {
        const [program, ...words] = await wordsOf(command);
        expect(program).toBe("virsh");
        const shown = await libvirt.virsh(...words.map((word) => (word === NAME ? domain.name : word)));
        const lines = shown
          .replaceAll(domain.name, NAME)
          .replace(/52:54:00(?::[0-9a-f]{2}){3}/g, "52:54:00:00:00:01")
          .split("\n")
          .map((line) => line.trimEnd());
        const more = output.indexOf("...");
        expect(more < 0 ? lines : lines.slice(0, more)).toEqual(
          (more < 0 ? output : output.slice(0, more))
            .map((line) => line.trimEnd())
            .concat(output.length === 0 ? [""] : []),
        );
      });
    });
  }
});
