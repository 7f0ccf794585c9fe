/** The documents: links lead somewhere, and what they show of the program is what it prints. */

import { expect, test } from "bun:test";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { inguestCommand } from "../lab/agent.ts";
import { run } from "../lab/process.ts";

const ROOT = resolve(import.meta.dir, "../..");

const documents = [...new Bun.Glob("**/*.md").scanSync({ cwd: ROOT })]
  .filter((path) => !/(^|\/)(node_modules|dist|\.[^/]+)\//.test(path))
  .sort();

const withoutBlocks = (markdown: string): string => markdown.replace(/^(```|~~~).*?^\1/gms, "");
const withoutCode = (markdown: string): string => withoutBlocks(markdown).replace(/(`+)(?!`).*?(?<!`)\1(?!`)/gs, "");

/** The name that a heading's link has: as GitHub makes it. */
const slug = (heading: string): string =>
  heading
    .trim()
    .toLowerCase()
    .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/[^\p{L}\p{N}\p{M}\s_-]/gu, "")
    .replaceAll(" ", "-");

function anchors(markdown: string): Set<string> {
  const found = new Set<string>();
  for (const [, heading = ""] of withoutBlocks(markdown).matchAll(/^#{1,6} (.*)$/gm)) {
    const name = slug(heading);
    let unique = name;
    for (let count = 1; found.has(unique); count++) unique = `${name}-${count}`;
    found.add(unique);
  }
  for (const [, id = ""] of markdown.matchAll(/<a (?:id|name)="([^"]+)"/g)) found.add(id);
  return found;
}

/** What is wrong with the links of a document; `text` stands for its content. */
function brokenLinks(path: string, text: string): string[] {
  const inline = withoutCode(text).matchAll(/\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)/g);
  const named = withoutCode(text).matchAll(/^\[[^\]]+\]: (\S+)/gm);
  const images = withoutCode(text).matchAll(/<img [^>]*src="([^"]+)"/g);
  return [...inline, ...named, ...images].flatMap(([, target = ""]) => {
    if (/^(https?|mailto):/.test(target)) return [];
    const [file = "", anchor] = target.split("#");
    const full = file === "" ? join(ROOT, path) : resolve(ROOT, dirname(path), decodeURIComponent(file));
    if (!full.startsWith(`${ROOT}/`) && full !== ROOT) return [`${path}: ${target} leads out of the repository`];
    if (file !== "" && !existsSync(full)) return [`${path}: ${target}: there is no such file`];
    if (anchor === undefined) return [];
    const content = file === "" ? text : statSync(full).isFile() ? readFileSync(full, "utf8") : "";
    return anchors(content).has(anchor) ? [] : [`${path}: ${target}: there is no such heading`];
  });
}

test("the check of links finds what is broken", () => {
  const broken = (text: string): number => brokenLinks("docs/example.md", text).length;
  expect(broken("[a](commands.md#guest-exec) [b](#a-heading) [c](../LICENSE)\n# A heading!\n")).toBe(0);
  expect(broken("`[a](nowhere)`\n```\n[a](nowhere)\n```\n")).toBe(0);
  expect(broken("[a](nowhere.md)")).toBe(1);
  expect(broken("[a](commands.md#nothing-like-this)")).toBe(1);
  expect(broken("![a](nowhere.png)")).toBe(1);
  expect(broken("[a]: nowhere.md")).toBe(1);
  expect(broken("[a](../../etc/passwd)")).toBe(1);
  expect(broken("[a](#nowhere)")).toBe(1);
});

test.each(documents)("links of %s", (path) => {
  expect(brokenLinks(path, readFileSync(join(ROOT, path), "utf8"))).toEqual([]);
});

test("every guide is in the list of guides", () => {
  const list = readFileSync(join(ROOT, "docs/README.md"), "utf8");
  const guides = documents.filter((path) => /^docs\/(?!README)[^/]+\.md$/.test(path));
  expect(guides.filter((path) => !list.includes(`(${path.slice("docs/".length)})`))).toEqual([]);
});

/** `inguest ... -D` and what follows it, in blocks of a terminal. */
const dumps = documents
  .filter((path) => path.startsWith("docs/"))
  .flatMap((path) =>
    [...readFileSync(join(ROOT, path), "utf8").matchAll(/^```console\n\$ inguest (.*-D)\n(.*?)^```/gms)].map(
      ([, options = "", output = ""]) => ({ path, options, output }),
    ),
  );

test("some documents show settings", () => {
  expect(dumps.length).toBeGreaterThan(1);
});

test.each(dumps)("$path: inguest $options", async ({ options, output }) => {
  const words = [...inguestCommand, "-c", "/dev/null", ...options.split(" ")];
  const { stdout } = await run(words, { env: { QGA_CONF: "" } });
  expect(stdout).toBe(output);
});
