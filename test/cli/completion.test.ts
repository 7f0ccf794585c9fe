/** `inguest completion`: the shells themselves complete command lines with it. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inguestCommand } from "../lab/agent.ts";
import { describeWith, ensurePackages } from "../lab/apt.ts";
import { dieWithParent, mustRun, run } from "../lab/process.ts";
import { newFolder } from "./agents.ts";

setDefaultTimeout(30_000);

const packages = await ensurePackages(["bash", "zsh", "fish"]);
const folder = newFolder();
afterAll(() => rmSync(folder, { recursive: true }));

/** A virsh that knows two machines, and files to be completed. */
mkdirSync(join(folder, "bin"));
writeFileSync(join(folder, "bin/virsh"), "#!/bin/sh\nprintf 'web1\\nweb2\\n\\n'\n");
writeFileSync(join(folder, "bin/inguest"), "#!/bin/sh\n");
for (const name of ["virsh", "inguest"]) chmodSync(join(folder, "bin", name), 0o755);
mkdirSync(join(folder, "files/folder"), { recursive: true });
writeFileSync(join(folder, "files/vm.sock"), "");
writeFileSync(join(folder, "files/vm log"), "");

const env = { PATH: `${join(folder, "bin")}:${process.env.PATH}`, TERM: "dumb", HOME: folder };
const cwd = join(folder, "files");

async function script(shell: string): Promise<string> {
  const path = join(folder, `completion.${shell}`);
  await Bun.write(path, await mustRun([...inguestCommand, "completion", shell]));
  return path;
}

/** The words that a shell offers for the last one, which may be empty. */
type Complete = (words: readonly string[]) => Promise<string[]>;

/** As readline splits them: at blanks, and around each equals sign and colon. */
const bashWords = (words: readonly string[]): string[] =>
  words.flatMap((word) => (word === "" ? [""] : word.split(/([=:])/).filter((part, at) => part !== "" || at > 0)));

const bash: Complete = async (words) => {
  const typed = bashWords(["inguest", ...words]);
  const text = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); compopt() { :; }; _inguest; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const output = await mustRun(["bash", "--norc", "-c", text, "bash", await script("bash"), ...typed], { env, cwd });
  return output
    .split("\n")
    .map((word) => word.trim())
    .filter(Boolean)
    .sort();
};

const fish: Complete = async (words) => {
  const text = `source ${await script("fish")}; complete -C ${JSON.stringify(`inguest ${words.join(" ")}`)}`;
  const output = await mustRun(["fish", "--no-config", "-c", text], { env, cwd });
  return output
    .split("\n")
    .map((line) => line.split("\t")[0] ?? "")
    .map((word) => word.replace(/^--\w+=/, "").replace(/\/$/, ""))
    .filter(Boolean)
    .sort();
};

/** zsh completes only where somebody types. What its completion offers is caught on the way to the line editor. */
const ZSH_INSIDE = `
PROMPT= RPROMPT=
autoload -Uz compinit
compinit -u -D
source $COMPLETION
compadd() {
    if [[ \${@[1,(i)(-|--)]} != *-(O|A|D)\\ * ]]; then
        local -a found
        local word
        builtin compadd -A found "$@"
        for word in $found; do print -r -- $word >>$OUT; done
    fi
    builtin compadd "$@"
}
complete-and-tell() { zle complete-word; print -r -- DONE >>$OUT }
zle -N complete-and-tell
bindkey '^I' complete-and-tell
print READY
`;

/** A terminal in which that runs; the second one of its words is what is typed. */
const ZSH = `
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "source $1"
while zpty -r z line; do [[ $line == READY* ]] && break; done
zpty -w -n z "$2"$'\\t'
until [[ $(<$OUT) == *DONE* ]]; do zpty -r -t z line; sleep 0.05; done
zpty -d z
`;

const zsh: Complete = async (words) => {
  const inside = join(folder, "inside.zsh");
  const out = join(folder, "zsh.out");
  await Bun.write(inside, ZSH_INSIDE);
  await Bun.write(out, "");
  const surroundings = { ...env, OUT: out, COMPLETION: await script("zsh") };
  const typed = `inguest ${words.join(" ")}`;
  await mustRun(["zsh", "-f", "-c", ZSH, "zsh", inside, typed], { env: surroundings, cwd, timeoutMs: 20_000 });
  return [...new Set((await Bun.file(out).text()).split("\n").filter((word) => !["", "DONE"].includes(word)))].sort();
};

describeWith("completion", packages, () => {
  describe.each([
    ["bash", bash],
    ["zsh", zsh],
    ["fish", fish],
  ] as const)("in %s", (_shell, complete) => {
    test.each<[words: string[], expected: string[]]>([
      [["ins"], ["install"]],
      [
        ["ctl", "pu"],
        ["pull", "push"],
      ],
      [["ctl", "guest-fsfreeze-s"], ["guest-fsfreeze-status"]],
      [
        ["ctl", "-l", "w"],
        ["web1", "web2"],
      ],
      [["completion", "b"], ["bash"]],
    ])("%j", async (words, expected) => {
      expect(await complete(words)).toEqual(expected);
    });

    test.each<[words: string[], some: string[], none: string[]]>([
      [
        ["ctl", "-s", "vm.sock", ""],
        ["info", "exec", "guest-ping"],
        ["install", "--dry-run"],
      ],
      [
        ["ctl", "-s", "vm.sock", "pull", "--"],
        ["--restart", "--no-verify", "--json"],
        ["--mountpoints", "--method"],
      ],
      [
        ["install", "--"],
        ["--dry-run", "--replace"],
        ["--method", "--socket"],
      ],
      [["--meth"], ["--method"], ["--socket"]],
    ])("%j has its own", async (words, some, none) => {
      const found = (await complete(words)).map((word) => word.replace(/=$/, ""));
      expect(some.filter((word) => !found.includes(word))).toEqual([]);
      expect(none.filter((word) => found.includes(word))).toEqual([]);
    });

    test("arguments of a command", async () => {
      const found = await complete(["ctl", "guest-file-open", ""]);
      expect(found).toContain("path=");
      expect(found).toContain("mode=");
    });

    test("values of an option", async () => {
      const found = await complete(["-m", "vir"]);
      expect(found).toEqual(["virtio-serial"]);
    });

    test("names of files", async () => {
      expect((await complete(["ctl", "--socket", "vm.s"])).map((word) => word.trim())).toEqual(["vm.sock"]);
      expect(await complete(["ctl", "-s", "x", "push", "fol"])).toEqual(["folder"]);
    });
  });

  test("bash takes an equals sign for a word", async () => {
    expect(await bash(["--method=vi"])).toEqual(["virtio-serial"]);
    expect(await bash(["ctl", "--libvirt=web1", "pin"])).toEqual(["ping"]);
    expect(await bash(["ctl", "--libvirt="])).toEqual(["web1", "web2"]);
  });
});

test("a shell that is not known", async () => {
  const { exitCode, stdout, stderr } = await run([...dieWithParent, ...inguestCommand, "completion", "csh"]);
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
  expect(stderr).toContain("bash|zsh|fish");
});
