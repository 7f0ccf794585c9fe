/** Holds answers against the peer's and against the table of intended differences. */
import { replyDifference, spellingFault } from "./conversation.ts";
import { INTENDED_DIFFERENCES, type IntendedDifference, type PeerName } from "./intended-differences.ts";
import type { Outcome } from "./recording.ts";

export interface Judge {
  /** @returns what is wrong with our answers, undefined when nothing is */
  judge(name: string, theirs: Outcome, ours: Outcome, after?: Outcome): string | undefined;
  /** Lines of the table for which no difference was seen. */
  unused(): string[];
}

const PARTS = ["reply", "status", "statusAgain"] as const;

const matches = (pattern: string | RegExp, text: string): boolean =>
  typeof pattern === "string" ? replyDifference(pattern, text) === undefined : pattern.test(text);

const concerns = ({ cases }: IntendedDifference, name: string): boolean =>
  cases instanceof RegExp ? cases.test(name) : cases.includes(name);

export function createJudge(peer: PeerName): Judge {
  const table = INTENDED_DIFFERENCES.filter(({ peers }) => peers === undefined || peers.includes(peer));
  const seen = new Map<IntendedDifference, Set<string>>(table.map((line) => [line, new Set()]));

  const judgePart = (
    name: string,
    part: (typeof PARTS)[number],
    theirs = "",
    ours = "",
    after = theirs,
  ): string | undefined => {
    const spelling = spellingFault(ours);
    if (spelling !== undefined) return `${part}: not qemu's spelling: ${spelling.slice(0, 300)}`;
    const difference = replyDifference(theirs, ours, after);
    if (difference === undefined) return undefined;
    const line = table.find(
      (known) =>
        (known.part ?? "reply") === part &&
        concerns(known, name) &&
        matches(known.theirs, theirs) &&
        matches(known.ours, ours),
    );
    if (line === undefined) return `${part}: ${difference}`;
    seen.get(line)?.add(name);
    return undefined;
  };

  return {
    judge(name, theirs, ours, after) {
      if (theirs.prompt && !ours.prompt) return `no reply until a sync followed, then ${ours.reply.slice(0, 300)}`;
      for (const part of PARTS) {
        // When only one of them has started a program, that is a difference of the replies.
        if (part !== "reply" && (theirs[part] === undefined || ours[part] === undefined)) continue;
        const fault = judgePart(name, part, theirs[part], ours[part], after?.[part]);
        if (fault !== undefined) return fault;
      }
      return undefined;
    },
    unused: () =>
      table.flatMap((line) => {
        const names = seen.get(line) ?? new Set();
        if (line.cases instanceof RegExp) return names.size > 0 ? [] : [`${line.cases}: ${line.reason}`];
        return line.cases.filter((name) => !names.has(name)).map((name) => `${name}: ${line.reason}`);
      }),
  };
}
