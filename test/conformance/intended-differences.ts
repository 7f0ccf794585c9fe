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
const written = (count: number): string => `{"return": {"count": ${count}, "eof": false}}\n`;
const position = (at: number): string => `{"return": {"eof": false, "position": ${at}}}\n`;

const INCOMPLETE = error("Base64 data is incomplete: its length is not a multiple of 4");
const INVALID = error("Base64 data contains invalid characters");

const STDERR_ONLY =
  "With nothing but stderr to capture, qemu-ga 10 waits for the end of a pipe of stdout that it never opened.";
const ONE_STREAM_BEFORE =
  "The recording had captured one stream alone before. That leaves qemu-ga 10 watching a descriptor it never opened, " +
  "and what later programs read and print gets lost. Asked in another order, it answers as we do.";
const NAMES_PROCESS = "qemu-ga 10 meant to name the process and has its format wrong.";
const SINCE_7_2 = "Changed since 7.2";
const NO_SUCH_USER = "No call has failed; it is the user that is not there.";

export const INTENDED_DIFFERENCES: readonly IntendedDifference[] = [
  {
    cases: ["big float id"],
    theirs: '{"return": {}, "id": inf}\n',
    ours: '{"return": {}, "id": null}\n',
    reason: "inf is no JSON: a host that parses the reply would lose the channel.",
  },
  {
    cases: ["deep 1025"],
    theirs: /^\{"error": \{"class": "GenericError", "desc": "JSON nesting depth limit exceeded"\}\}\n\{"error": /,
    ours: error("JSON nesting depth limit exceeded"),
    reason:
      "One error for one broken message; what is left of it is passed over instead of answered bracket by bracket.",
  },
  {
    cases: ["write YQ", "write YQ=", "write ="],
    theirs: written(0),
    ours: INCOMPLETE,
    reason: "Data that are not all there are refused; qemu-ga drops the last bytes and calls it a success.",
  },
  {
    cases: ["write YQ==YQ=="],
    theirs: written(2),
    ours: INVALID,
    reason: "Padding ends base64: what comes behind it is refused.",
  },
  {
    cases: ["write ===="],
    theirs: written(1),
    ours: INVALID,
    reason: "Nothing but padding stands for no byte; qemu-ga writes one that nobody sent.",
  },
  {
    cases: ["seek -1 end"],
    theirs: position(17),
    ours: position(14),
    reason: "The file is shorter by the three bytes of the writes that were refused before.",
  },
  {
    cases: ["seek 0 end", "seek 0 2"],
    theirs: position(18),
    ours: position(15),
    reason: "The file is shorter by the three bytes of the writes that were refused before.",
  },
  {
    cases: ["exec capture stderr"],
    part: "status",
    peers: ["recording", "10"],
    theirs: '{"return": {"exited": false}}\n',
    ours: '{"return": {"exited": true, "exitcode": 0, "err-data": "ZXJyCg==", "err-truncated": false}}\n',
    reason: STDERR_ONLY,
  },
  {
    cases: ["exec capture stderr"],
    part: "statusAgain",
    peers: ["recording", "10"],
    theirs: '{"return": {"exited": false}}\n',
    ours: error("PID {PID} does not exist"),
    reason: STDERR_ONLY,
  },
  {
    cases: ["exec capture separated"],
    part: "status",
    peers: ["recording"],
    theirs: '{"return": {"exitcode": 0, "err-data": "ZXJyCg==", "err-truncated": false, "exited": true}}\n',
    ours: /"out-data": "b3V0Cg==", "out-truncated": false, "err-data": "ZXJyCg==", "err-truncated": false/,
    reason: ONE_STREAM_BEFORE,
  },
  {
    cases: ["exec capture merged"],
    part: "status",
    peers: ["recording"],
    theirs: '{"return": {"exitcode": 0, "exited": true}}\n',
    ours: '{"return": {"exited": true, "exitcode": 0, "out-data": "b3V0CmVycgo=", "out-truncated": false}}\n',
    reason: ONE_STREAM_BEFORE,
  },
  {
    cases: ["exec input"],
    part: "status",
    peers: ["recording"],
    theirs: '{"return": {"exited": true}}\n',
    ours: '{"return": {"exited": true, "exitcode": 0, "out-data": "aGk=", "out-truncated": false}}\n',
    reason: ONE_STREAM_BEFORE,
  },
  {
    cases: /exec/,
    part: "statusAgain",
    peers: ["recording", "10"],
    theirs: error("PID ld does not exist"),
    ours: error("PID {PID} does not exist"),
    reason: NAMES_PROCESS,
  },
  {
    cases: /^exec-status unknown|"guest-exec-status"/,
    peers: ["recording", "10"],
    theirs: error("PID ld does not exist"),
    ours: /"PID -?\d+ does not exist"/,
    reason: NAMES_PROCESS,
  },
  {
    cases: /^keys of unknown user|"guest-ssh-(add|remove)-authorized-keys"/,
    theirs: error("failed to lookup user 'nosuchuser': Success"),
    ours: error("failed to lookup user 'nosuchuser': no such user"),
    reason: NO_SUCH_USER,
  },
  {
    cases: ["keys empty user"],
    theirs: error("failed to lookup user '': Success"),
    ours: error("failed to lookup user '': no such user"),
    reason: NO_SUCH_USER,
  },
  {
    cases: /^\{"execute": "guest-exec", .*"input-data": "YQ"/,
    peers: ["10", "7.2"],
    theirs: /^\{"return": \{"pid": \{PID\}\}\}/,
    ours: INCOMPLETE,
    reason: "Data that are not all there are refused; qemu-ga drops the last bytes and starts the program.",
  },
  {
    cases: /\u00c0\u0080/,
    peers: ["10", "7.2"],
    theirs: /^((?!UTF-8).)*$/s,
    ours: /JSON parse error, invalid UTF-8 sequence in string/,
    reason: "A NUL in two bytes is no UTF-8; who means one can send \\u0000.",
  },

  // What version 10 does in another way than 7.2, and we with it.
  {
    cases: ["guest-info", "guest-info empty arguments"],
    peers: ["7.2"],
    theirs: /"version": "7\.2\./,
    ours: /"version": "10\./,
    reason: SINCE_7_2,
  },
  {
    cases: ["guest-get-fsinfo", "guest-get-fsinfo empty arguments"],
    peers: ["7.2"],
    theirs: /^\{"return": \[/,
    ours: /^\{"return": \[/,
    reason: `${SINCE_7_2}: the order, and which mounts count.`,
  },
  {
    cases: /^guest-get-devices/,
    peers: ["7.2"],
    theirs: /"Command guest-get-devices has been disabled"/,
    ours: /"The command guest-get-devices has not been found"/,
    reason: SINCE_7_2,
  },
  {
    cases: /exec/,
    part: "statusAgain",
    peers: ["7.2"],
    theirs: error("Invalid parameter 'pid'"),
    ours: error("PID {PID} does not exist"),
    reason: SINCE_7_2,
  },
  {
    cases: /^exec-status unknown|"guest-exec-status"/,
    peers: ["7.2"],
    theirs: error("Invalid parameter 'pid'"),
    ours: /"PID -?\d+ does not exist"/,
    reason: SINCE_7_2,
  },
  {
    cases: /exec/,
    peers: ["7.2"],
    theirs: /"Guest agent command failed, error was 'Failed to execute child process /,
    ours: /"desc": "Failed to execute child process /,
    reason: SINCE_7_2,
  },
  {
    cases: /capture/,
    peers: ["7.2"],
    theirs: error("Invalid parameter type for 'capture-output', expected: boolean"),
    ours: /"pid": \{PID\}|expected: GuestExecCaptureOutput"|does not accept value '\w*'"/,
    reason: `${SINCE_7_2}: there was only true and false.`,
  },
  {
    cases: /"guest-set-user-password"/,
    peers: ["7.2"],
    theirs: error("child process has failed to set user password"),
    ours: /"child process has failed to set user password: /,
    reason: `${SINCE_7_2}: what the program printed is told.`,
  },
];
