/** What goes to a host, and in how many writes; the port is a mock that takes as much as a test wants it to. */
import { expect, test } from "bun:test";
import type { Body } from "../../src/channel/body.ts";
import { createOutbox } from "../../src/channel/outbox.ts";
import type { Port } from "../../src/guest.ts";

/** A port that takes at most `room()` bytes of each write. */
function createPort(room: () => number = () => Number.POSITIVE_INFINITY) {
  const writes: string[] = [];
  const port: Port = {
    persistent: false,
    drained: true,
    watch() {},
    read: () => 0,
    write(from, start, end) {
      const taken = Math.min(room(), end - start);
      if (taken > 0) writes.push(Buffer.from(from.subarray(start, start + taken)).toString("latin1"));
      return taken;
    },
    attended: () => true,
    close() {},
  };
  return { port, writes };
}

/** A body of these parts. */
function bodyOf(...parts: readonly string[]): Body {
  const left = [...parts];
  return {
    kind: "body",
    get over() {
      return left.length === 0;
    },
    next: (into, start) => into.write(left.shift() ?? "", start, "latin1"),
  };
}

test("a short reply leaves in one write", () => {
  const { port, writes } = createPort();
  const outbox = createOutbox(port);
  outbox.text("earlier\n");
  outbox.text('{"return": ');
  outbox.body(bodyOf("body"), "}\n");
  outbox.flush();
  expect(writes).toEqual(['earlier\n{"return": body}\n']);
});

test("each part of a long reply leaves when it is made, the last one with what is behind it", () => {
  const { port, writes } = createPort();
  const outbox = createOutbox(port);
  outbox.body(bodyOf("one", "two", "three"), "}\n");
  expect(writes).toEqual(["one", "two", "three}\n"]);
});

test("much text behind a body comes behind it", () => {
  const { port, writes } = createPort();
  const outbox = createOutbox(port);
  const behind = `${"x".repeat(300_000)}\n`;
  outbox.text("before");
  outbox.body(bodyOf("body"), behind);
  outbox.text("after");
  outbox.flush();
  expect(writes.join("")).toBe(`beforebody${behind}after`);
  expect(outbox.blocked).toBe(false);
});

test.each([1, 2, 3, 5, 7])("a host that takes %d bytes at a time gets all of it in order", (room) => {
  let left = 0;
  const { port, writes } = createPort(() => {
    const now = left;
    left = 0;
    return now;
  });
  const outbox = createOutbox(port);
  outbox.text("before ");
  outbox.body(bodyOf("one ", "two ", "three"), " behind\n");
  outbox.text("between\n");
  outbox.body(bodyOf("four"), " end\n");
  outbox.flush();
  expect(outbox.blocked).toBe(true);
  for (let turns = 0; outbox.blocked && turns < 100; turns++) {
    left = room;
    outbox.flush();
  }
  expect(writes.join("")).toBe("before one two three behind\nbetween\nfour end\n");
});

test("nothing of what a host that has gone did not take is left", () => {
  let room = 3;
  const { port, writes } = createPort(() => room);
  const outbox = createOutbox(port);
  outbox.body(bodyOf("one", "two"), "}\n");
  room = 0;
  outbox.body(bodyOf("three"), "}\n");
  outbox.clear();
  room = 100;
  outbox.text("next\n");
  outbox.flush();
  expect(outbox.blocked).toBe(false);
  expect(writes.at(-1)).toBe("next\n");
  expect(writes.join("")).not.toContain("three");
});
