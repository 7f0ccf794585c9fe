import { expect, test } from "bun:test";
import { adviceFor } from "../../platform/linux/doctor/advice.ts";
import { fileTree, type Tree } from "../lab/file-tree.ts";

const OPENRC: Tree = { "/sbin/openrc-run": "" };
const SYSV: Tree = { "/etc/rc2.d/": "", "/etc/init.d/": "" };
const RUNIT: Tree = { "/etc/sv/": "", "/etc/service/": "" };
const SCRIPT: Tree = { "/etc/init.d/inguest": "" };

test.each<[string, Tree, string]>([
  ["an unknown system", {}, "inguest install"],
  ["OpenRC", OPENRC, "inguest install"],
  ["OpenRC with the service", { ...OPENRC, ...SCRIPT }, "rc-service inguest start; rc-service inguest status"],
  ["SysV with the service", { ...SYSV, ...SCRIPT }, "/etc/init.d/inguest start; /etc/init.d/inguest status"],
  ["runit", RUNIT, "inguest install"],
  [
    "runit with the service",
    { ...RUNIT, "/etc/sv/inguest/run": "" },
    "sv start /etc/sv/inguest; sv status /etc/sv/inguest",
  ],
])("%s is told what it knows", (_name, tree, expected) => {
  using made = fileTree(tree);
  const advice = adviceFor(made.root);
  expect(advice.startAndLook).toBe(expected);
  expect(advice.startAndLook).toStartWith(advice.start);
  expect(Object.values(advice).join()).not.toMatch(/systemctl|journalctl|timedatectl/);
});
