/** Requests beyond those of the recording, for agents that are there to be asked: see `Request` for the placeholders. */
import { type Json, printJson } from "../lab/qga-client.ts";
import type { Request } from "./recording.ts";

/** Text that is JSON in one way or another, or not at all. */
const TEXTS: readonly string[] = [
  // Structure
  ...'[} {] {"a":[} [[} ]]]] }} }{ ,, , : :: {,} {"a"} {"a":} {:1} {1:2} {null:1} {[]:1} [1 2] [,] [1,] ["a":1]'.split(
    / (?!2\])/,
  ),
  '{"execute":"guest-ping"}}',
  '{"execute":"guest-ping"}]{"execute":"guest-ping"}',
  '{"a":1 "b":2}',
  '{"a":{"b":[{"c":null}]}}',
  '[{"execute":"guest-ping"},{"execute":"guest-ping"}]',
  '{"execute":"guest-ping","arguments":{"a":[}]}',
  '{"execute":"guest-ping"},{"execute":"guest-ping"}',
  "[[[[{{{{",
  // Numbers
  ..."- 1. .5 1e 1e+ 1e5 1E5 01 -01 00 0x10 1_000 -0.0 1e-400 0e0 --1 +1 1a 1.5.5 - 1 9223372036854775807 18446744073709551615".split(
    " ",
  ),
  // Words
  ..."nul truex True NULL undefined nan -inf falsetrue true,false".split(" "),
  // Strings
  `"abc`,
  `'abc\\`,
  `{"a":"abc\n`,
  `"\xc0\x80"`,
  `"\\u12zz"`,
  `"\\ud83d\\u0041"`,
  `'a"b'`,
  `"a'b"`,
  `'\\''`,
  `"\\'"`,
  `"\\/\\b\\f\\n\\r\\t\\\\\\""`,
  `"\\x41"`,
  `"\\u12"`,
  `"\\uD83D\\uDE00"`,
  `"\\uDE00\\uD83D"`,
  `"\\uD83Dx"`,
  `"\\uFFFF"`,
  `"\\uFDD0"`,
  `"\\uD83F\\uDFFE"`,
  `"a\nb"`,
  `"a\tb"`,
  `"\x7f"`,
  `"\xf4\x90\x80\x80"`,
  `"\xed\xa0\x80"`,
  `"\xef\xbf\xbf"`,
  `"\xf0\x9f\x98\x80"`,
  `"\xc3"`,
  `"\xfe"`,
  "\xef\xbb\xbf{}",
  "#!/bin/sh",
  "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
  "\x16\x03\x01\x02",
  "\x1b[A",
  "/* x */ {}",
  "%d",
  "{%s:%p}",
];

/** What is asked by name, with arguments; most of it is a little wrong. */
const COMMANDS: readonly (readonly [string, Json | undefined, { [member: string]: Json }?])[] = [
  ["guest-ping", {}, { id: { deep: [[[[{ a: 1 }]]]] } }],
  ["guest-ping", {}, { id: 18446744073709551615n }],
  ["guest-ping", {}, { id: -9223372036854775808n }],
  ["guest-ping", {}, { id: '\u{1f600} \u00e9 \u0001 " \\ / \u007f' }],
  ["guest-ping", {}, { id: [] }],
  ["guest-ping", null],
  ["guest-ping", "x"],
  ["GUEST-PING", {}],
  ["guest-ping ", {}],
  ["guest_ping", {}],
  ["guest-sync", { id: 1, ID: 2 }],
  ["guest-sync", { id: [1] }],
  ["guest-sync-delimited", { id: 0 }],
  ["guest-sync-delimited", { id: -1 }, { id: "both" }],
  ["guest-sync-delimited", { id: 9223372036854775808n }],
  // Files
  ["guest-file-open", { path: "{FILE}", mode: "w+" }],
  ["guest-file-write", { handle: "{H}", "buf-b64": "AAECAwQFBgcICQ==" }],
  ["guest-file-seek", { handle: "{H}", offset: 2, whence: "set" }],
  ["guest-file-read", { handle: "{H}", count: 3 }],
  ["guest-file-write", { handle: "{H}", "buf-b64": "////" }],
  ["guest-file-seek", { handle: "{H}", offset: 0, whence: "cur" }],
  ["guest-file-read", { handle: "{H}", count: 100 }],
  ["guest-file-read", { handle: "{H}", count: 1 }],
  ["guest-file-read", { handle: "{H}", count: 0 }],
  ["guest-file-seek", { handle: "{H}", offset: -3, whence: "end" }],
  ["guest-file-read", { handle: "{H}", count: 3 }],
  ["guest-file-read", { handle: "{H}", count: 50331648 }],
  ["guest-file-seek", { handle: "{H}", offset: 9223372036854775807n, whence: "set" }],
  ["guest-file-seek", { handle: "{H}", offset: 9223372036854775807n, whence: "cur" }],
  ["guest-file-seek", { handle: "{H}", offset: 1, whence: 9223372036854775807n }],
  ["guest-file-seek", { handle: "{H}", offset: 1, whence: "SET" }],
  ["guest-file-seek", { handle: "{H}", offset: 1, whence: "" }],
  ["guest-file-write", { handle: "{H}", "buf-b64": "YR==" }],
  ["guest-file-write", { handle: "{H}", "buf-b64": "YWJj\r\nZGVm" }],
  ["guest-file-write", { handle: "{H}", "buf-b64": "\nYWJj\n\nZ\nGVm\n" }],
  ["guest-file-write", { handle: "{H}", "buf-b64": "YWJj\u00e9ZGV" }],
  ["guest-file-write", { handle: "{H}", "buf-b64": "YWJj", count: 0 }],
  ["guest-file-write", { handle: "{H}", "buf-b64": "YWJj", count: 4 }],
  ["guest-file-write", { handle: "{H}", "buf-b64": "", count: 1 }],
  ["guest-file-flush", { handle: "{H}" }],
  ["guest-file-close", { handle: "{H}" }],
  ["guest-file-flush", { handle: "{H}" }],
  ["guest-file-read", { handle: 0 }],
  ["guest-file-read", { handle: -1 }],
  ["guest-file-read", { handle: 9223372036854775807n }],
  ["guest-file-open", { path: "/proc/version" }],
  ["guest-file-read", { handle: "{H}", count: 65536 }],
  ["guest-file-read", { handle: "{H}", count: 65536 }],
  ["guest-file-close", { handle: "{H}" }],
  ["guest-file-open", { path: "/" }],
  ["guest-file-read", { handle: "{H}" }],
  ["guest-file-write", { handle: "{H}", "buf-b64": "YQ==" }],
  ["guest-file-close", { handle: "{H}" }],
  ["guest-file-open", { path: "/", mode: "w" }],
  ["guest-file-open", { path: "/", mode: "r+" }],
  ["guest-file-open", { path: "/proc/version", mode: "a" }],
  ["guest-file-open", { path: "/proc/nothing", mode: "w" }],
  ["guest-file-open", { path: "/etc/passwd/x" }],
  ["guest-file-open", { path: "relative" }],
  ["guest-file-open", { path: '/nonexistent/\u00e9\u0001"' }],
  ["guest-file-open", { path: `/${"x".repeat(300)}` }],
  ["guest-file-open", { path: `/${"x/".repeat(3000)}` }],
  ["guest-file-open", { path: "/proc/version\u0000x" }],
  ["guest-file-read", { handle: "{H}", count: 5 }],
  ["guest-file-close", { handle: "{H}" }],
  ["guest-file-open", { path: "/proc/version", mode: "r\u0000" }],
  ["guest-file-open", { path: "/dev/null", mode: "r+" }],
  ["guest-file-write", { handle: "{H}", "buf-b64": "YWJj" }],
  ["guest-file-read", { handle: "{H}" }],
  ["guest-file-seek", { handle: "{H}", offset: 10, whence: "set" }],
  ["guest-file-close", { handle: "{H}" }],
  ["guest-file-open", { path: "/dev/full", mode: "w" }],
  ["guest-file-write", { handle: "{H}", "buf-b64": Buffer.alloc(9000).toString("base64") }],
  ["guest-file-close", { handle: "{H}" }],
  // Programs
  ["guest-exec", { path: "sh", arg: ["-c", "exit 255"] }],
  ["guest-exec", { path: "sh", arg: ["-c", "kill -TERM $$"], "capture-output": true }],
  ["guest-exec", { path: "sh", arg: ["-c", "kill -SEGV $$"] }],
  ["guest-exec", { path: "sh", arg: ["-c", "(sleep 0.3; echo late) & echo early"], "capture-output": true }],
  ["guest-exec", { path: "sh", arg: ["-c", "exec >&- 2>&-; sleep 0.2; exit 4"], "capture-output": true }],
  [
    "guest-exec",
    { path: "sh", arg: ["-c", "cat; echo $#", "x", "", "a b", "\u00e9"], "capture-output": true, "input-data": "" },
  ],
  ["guest-exec", { path: "sh", arg: ["-c", "exit 0"], "input-data": Buffer.alloc(300_000).toString("base64") }],
  [
    "guest-exec",
    { path: "wc", arg: ["-c"], "input-data": Buffer.alloc(300_000).toString("base64"), "capture-output": true },
  ],
  ["guest-exec", { path: "grep", arg: ["Sig[IBP]", "/proc/self/status"], "capture-output": true }],
  ["guest-exec", { path: "sh", arg: ["-c", "umask; ulimit -n"], "capture-output": true }],
  ["guest-exec", { path: "/bin/sh", arg: ["-c", "echo $0 $PWD | head -c 8"], "capture-output": true }],
  ["guest-exec", { path: "env", env: [], "capture-output": true }],
  ["guest-exec", { path: "/usr/bin/env", env: ["A=1=2", "B", "", "=x"], "capture-output": true }],
  ["guest-exec", { path: "echo", arg: [], env: ["PATH=/nonexistent"] }],
  ["guest-exec", { path: "true", arg: ["x".repeat(200_000)] }],
  ["guest-exec", { path: "no-such-program-anywhere" }],
  ["guest-exec", { path: "/etc/passwd" }],
  ["guest-exec", { path: "/etc/passwd/x" }],
  ["guest-exec", { path: "./true" }],
  ["guest-exec", { path: "true", "capture-output": "" }],
  ["guest-exec", { path: "true", "capture-output": "Merged" }],
  ["guest-exec", { path: "true", arg: "x" }],
  ["guest-exec", { path: "true", arg: [["x"]] }],
  ["guest-exec", { path: "true", env: [null] }],
  ["guest-exec", { path: "cat", "input-data": "YQ", "capture-output": true }],
  ["guest-exec-status", { pid: 0 }],
  ["guest-exec-status", { pid: -1 }],
  ["guest-exec-status", { pid: 9223372036854775807n }],
  // What would act, refused for its values
  ["guest-shutdown", { mode: "nonsense" }],
  ["guest-set-time", { time: 9223372036854775807n }],
  ["guest-set-time", { time: 9223372036854775808n }],
  ["guest-set-vcpus", { vcpus: [] }],
  ["guest-set-vcpus", { vcpus: [{ "logical-id": 4096, online: true }] }],
  ["guest-set-vcpus", { vcpus: [{ "logical-id": -1, online: true }] }],
  ["guest-set-vcpus", { vcpus: [{ online: true }] }],
  ["guest-set-vcpus", { vcpus: [{ "logical-id": 0, online: 1 }] }],
  ["guest-set-vcpus", { vcpus: [{ "logical-id": 0, online: true, more: 1 }] }],
  ["guest-set-vcpus", { vcpus: [1] }],
  ["guest-set-memory-blocks", { "mem-blks": [] }],
  ["guest-set-memory-blocks", { "mem-blks": [{ "phys-index": 18446744073709551615n, online: true }] }],
  ["guest-set-memory-blocks", { "mem-blks": [{ "phys-index": 1.5, online: true }] }],
  ["guest-fsfreeze-freeze-list", { mountpoints: [1] }],
  ["guest-fsfreeze-freeze-list", { mountpoints: [] }],
  ["guest-fsfreeze-freeze-list", { mountpoints: ["/nonexistent"] }],
  ["guest-set-user-password", { username: "nosuchuser-x", password: "!!", crypted: false }],
  ["guest-set-user-password", { username: "nosuchuser-x", password: "YTpi\nYg==", crypted: false }],
  ["guest-set-user-password", { username: "a:b", password: "YQ==", crypted: false }],
  ["guest-set-user-password", { username: "a\nb", password: "YQ==", crypted: true }],
  ["guest-ssh-add-authorized-keys", { username: "nosuchuser", keys: ["ssh-ed25519 AAAA x"] }],
  ["guest-ssh-remove-authorized-keys", { username: "nosuchuser", keys: [] }],
  ["guest-ssh-add-authorized-keys", { username: "root", keys: [""] }],
  ["guest-ssh-add-authorized-keys", { username: "root", keys: [1] }],
];

/** A request as a host prints it; the handle stands in it as a number. */
const requestText = (execute: string, args: Json | undefined, more: { [member: string]: Json }): string =>
  Buffer.from(printJson({ execute, ...(args === undefined ? {} : { arguments: args }), ...more }), "utf8")
    .toString("latin1")
    .replaceAll('"{H}"', "{H}");

const label = (text: string): string => (text.length > 90 ? `${text.slice(0, 80)}… ${text.length} bytes` : text);

/** Each with a name of its own. */
function named(texts: readonly string[]): Request[] {
  const times = new Map<string, number>();
  return texts.map((text) => {
    const plain = label(JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"'));
    const count = (times.get(plain) ?? 0) + 1;
    times.set(plain, count);
    return { name: count === 1 ? plain : `${plain} (${count})`, send: text };
  });
}

/** All of them, in an order that matters for files. */
export const MORE_REQUESTS: readonly Request[] = named([
  ...TEXTS.map((text) => `${text}\n`),
  ...TEXTS.map((text) => `${text}{"execute":"guest-ping"}\n`),
  ...TEXTS.map((text) => `{"execute":"guest-ping","id":${text}}\n`),
  ...TEXTS.map((text) => `{"execute":"guest-ping","id":[1,${text}\xff{"execute":"guest-ping","id":2}\n`),
  ...COMMANDS.map(([execute, args, more = {}]) => `${requestText(execute, args, more)}\n`),
]);
