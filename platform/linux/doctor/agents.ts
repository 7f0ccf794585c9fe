/** Which agents run. */
import type { Finding } from "../../../src/guest.ts";
import { rivalProcesses } from "../install/rivals.ts";
import { adviceFor } from "./advice.ts";
import { ourProcesses } from "./running.ts";

/** @param root stands before `/proc` and the files of services, for tests */
export function examineAgents(root = ""): Finding[] {
  const ours = ourProcesses();
  const pids = ours.map(({ pid }) => pid).join(", ");
  const own: Finding =
    ours.length > 0
      ? { check: "agent", verdict: "ok", text: `inguest runs, process ${pids}` }
      : {
          check: "agent",
          verdict: "warn",
          text: "inguest does not run",
          fix: adviceFor(root).startAndLook,
        };
  const rivals = rivalProcesses(root).map(
    ({ name, pid }): Finding => ({
      check: "rivals",
      verdict: "fail",
      text: `${name} runs, process ${pid}: two agents cannot share a port`,
      fix: "inguest install --replace, or stop it",
    }),
  );
  return [
    own,
    ...(rivals.length > 0 ? rivals : [{ check: "rivals", verdict: "ok", text: "no other agent runs" } as const]),
  ];
}
