/**
 * Where our answers differ from qemu-ga's on purpose. A difference that is not in this table fails the tests, and so
 * does a line of the table that no longer differs.
 */

/** Whom our answers are compared with: the recording, and two real agents. */
export type PeerName = "recording" | "10" | "7.2";

export interface IntendedDifference {
  /** Names of requests, or what they have in common. */
  readonly cases: readonly string[] | RegExp;
  /** Which answer; `reply` when left out. */
  readonly part?: "reply" | "status" | "statusAgain";
  /** Peers it is about; all when left out. */
  readonly peers?: readonly PeerName[];
  readonly theirs: string | RegExp;
  readonly ours: string | RegExp;
  readonly reason: string;
}

const error = (desc: string): string => `{"error": {"class": "GenericError", "desc": "${desc}"}}\n`;

export const INTENDED_DIFFERENCES: readonly IntendedDifference[] = [
  {
    cases: ["big float id"],
    theirs: '{"return": {}, "id": inf}\n',
    ours: '{"return": {}, "id": null}\n',
    reason: "inf is no JSON: a host that parses the reply would lose the channel.",
  },
];
