import { describe, expect, test } from "bun:test";
import { COMPACT, parseLogindSession, parseUtmp, WIDE } from "../../platform/linux/sessions.ts";

describe("utmp", () => {
  test("64-bit times", () => {
    const record = Buffer.alloc(WIDE.size);
    record.writeInt16LE(7, 0);
    record.write("tty7", 8);
    record.write("carol", 44);
    record.writeBigInt64LE(5_000_000_000n, WIDE.seconds);
    record.writeBigInt64LE(250_000n, WIDE.seconds + 8);
    expect(parseUtmp(Buffer.concat([record, record.subarray(0, 399)]), WIDE)).toEqual([
      { user: "carol", terminal: "tty7", loginTime: 5_000_000_000.25 },
    ]);
  });

  test("names that fill their room, and bytes that are no text", () => {
    const record = Buffer.alloc(COMPACT.size, 0xff);
    record.writeInt16LE(7, 0);
    record.fill("u", 44, 76);
    record.writeUInt32LE(0xffff_ffff, COMPACT.seconds);
    record.writeInt32LE(0, COMPACT.seconds + 4);
    expect(parseUtmp(record, COMPACT)).toEqual([
      { user: "u".repeat(32), terminal: "\ufffd".repeat(32), loginTime: 4_294_967_295 },
    ]);
  });

  test("empty", () => {
    expect(parseUtmp(Buffer.alloc(0), COMPACT)).toEqual([]);
  });
});

describe("records of systemd-logind", () => {
  const record = (lines: Record<string, string>): string =>
    Object.entries({
      UID: "0",
      USER: "dave",
      ACTIVE: "1",
      STATE: "active",
      CLASS: "user",
      REALTIME: "1700000000123456",
      ...lines,
    })
      .map(([name, value]) => `${name}=${value}\n`)
      .join("");

  test("a session on a terminal", () => {
    expect(parseLogindSession(record({ TTY: "pts/3" }))).toEqual({
      user: "dave",
      terminal: "pts/3",
      loginTime: 1_700_000_000.123456,
    });
  });

  test.each([
    ["of the user's service manager", { CLASS: "manager" }],
    ["of a login screen", { CLASS: "greeter" }],
    ["of a lock screen", { CLASS: "lock-screen" }],
    ["of a background job", { CLASS: "background" }],
    ["that is going away", { STATE: "closing" }],
    ["with a garbled time", { REALTIME: "soon" }],
  ])("none: %s", (_name, lines) => {
    expect(parseLogindSession(record(lines))).toBeUndefined();
  });

  test.each(["", "garbage", "\0", "USER=x\n", "REALTIME=1\n"])("none: %j", (text) => {
    expect(parseLogindSession(text)).toBeUndefined();
  });

  test("a session without state and class, as older ones write it", () => {
    expect(parseLogindSession("USER=erin\nREALTIME=1000000\n")).toEqual({ user: "erin", loginTime: 1 });
  });
});
