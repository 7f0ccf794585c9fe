/** Windows' ports over a device that answers as the virtio driver does, whose queue can be full and whose host goes. */
import { describe, expect, test } from "bun:test";
import { type Device, devicePort } from "../../platform/windows/device-port.ts";
import { ERROR } from "../../platform/windows/error-codes.ts";
import type { Ended } from "../../platform/windows/overlapped.ts";
import { SystemError } from "../../src/guest.ts";

/** A loop whose time goes on when it is told to. */
function manualLoop() {
  let now = 0;
  let tasks: (() => void)[] = [];
  let timers: { readonly due: number; readonly callback: () => void }[] = [];
  const settle = (): void => {
    while (tasks.length > 0) {
      const present = tasks;
      tasks = [];
      for (const task of present) task();
    }
  };
  return {
    after(milliseconds: number, callback: () => void) {
      const timer = { due: now + milliseconds, callback };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    soon: (callback: () => void) => void tasks.push(callback),
    settle,
    /** Lets so many milliseconds pass. */
    pass(milliseconds: number) {
      const end = now + milliseconds;
      settle();
      for (;;) {
        const next = timers.toSorted((a, b) => a.due - b.due)[0];
        if (next === undefined || next.due > end) break;
        now = next.due;
        timers = timers.filter((other) => other !== next);
        next.callback();
        settle();
      }
      now = end;
    },
    get waiting() {
      return timers.length;
    },
  };
}

/**
 * What the virtio driver does: it refuses reads without a host, ends the one under way when the host goes, and refuses
 * writes without a host or room. A Windows driver answers at once (`refuse`), or with a packet.
 */
function virtioDevice(loop: ReturnType<typeof manualLoop>, refuse: boolean) {
  let host = false;
  let room = true;
  let closed = 0;
  let pending: { readonly into: Buffer; readonly ended: Ended } | undefined;
  const received: string[] = [];
  const answer = (code: number, ended: Ended): number => {
    if (refuse) return code;
    loop.soon(() => ended(code, 0));
    return 0;
  };
  const device: Device = {
    read(into, ended) {
      if (pending !== undefined) throw new Error("two reads at once");
      if (!host) return answer(ERROR.NO_SYSTEM_RESOURCES, ended);
      pending = { into, ended };
      return 0;
    },
    write(from, start, end, ended) {
      if (!host || !room) return answer(ERROR.CANT_WAIT, ended);
      received.push(from.toString("latin1", start, end));
      loop.soon(() => ended(ERROR.SUCCESS, end - start));
      return 0;
    },
    failure: (call, code) => new SystemError(call, `error ${code}`, "it failed"),
    close: () => void closed++,
  };
  const take = () => {
    const taken = pending;
    pending = undefined;
    return taken;
  };
  return {
    device,
    received,
    get closed() {
      return closed;
    },
    attach() {
      host = true;
    },
    detach() {
      host = false;
      take()?.ended(ERROR.OPERATION_ABORTED, 0);
    },
    say(text: string) {
      const taken = take();
      if (taken === undefined) throw new Error("nobody reads");
      taken.ended(ERROR.SUCCESS, taken.into.write(text, "latin1"));
    },
    fail(code: number) {
      take()?.ended(code, 0);
    },
    setRoom(is: boolean) {
      room = is;
    },
  };
}

describe.each([
  ["that answers at once", true],
  ["that answers later", false],
])("a virtio port of a driver %s", (_name, refuse) => {
  const opened = () => {
    const loop = manualLoop();
    const driver = virtioDevice(loop, refuse);
    const port = devicePort(driver.device, loop, true);
    const told: string[] = [];
    const into = Buffer.alloc(100);
    port.watch({
      readable() {
        const count = port.read(into);
        told.push(count < 0 ? "gone" : into.toString("latin1", 0, count));
      },
      writable: () => void told.push("room"),
    });
    const write = (text: string): number => port.write(Buffer.from(text), 0, text.length);
    loop.settle();
    return { loop, driver, port, told, write };
  };

  test("waits for a host without a word, and less and less often", () => {
    const { loop, driver, told, port } = opened();
    loop.pass(60_000);
    expect(told).toEqual(["gone"]);
    expect(port.attended()).toBe(false);
    driver.attach();
    loop.pass(2000);
    driver.say("hello");
    expect(told).toEqual(["gone", "hello"]);
    expect(port.attended()).toBe(true);
  });

  test("tells once that a host has gone, and serves the next one", () => {
    const { loop, driver, told } = opened();
    driver.attach();
    loop.pass(200);
    driver.say("a");
    driver.detach();
    loop.pass(10_000);
    driver.attach();
    loop.pass(2000);
    driver.say("b");
    expect(told).toEqual(["gone", "a", "gone", "b"]);
  });

  test("keeps what a full queue does not take", () => {
    const { loop, driver, told, write } = opened();
    driver.attach();
    loop.pass(200);
    driver.say("request");
    driver.setRoom(false);
    expect(write("one")).toBe(3);
    expect(write("two")).toBe(0);
    loop.pass(500);
    expect(driver.received).toEqual([]);
    driver.setRoom(true);
    loop.pass(100);
    expect(driver.received).toEqual(["one"]);
    expect(told).toEqual(["gone", "request", "room"]);
    expect(write("two")).toBe(3);
    loop.settle();
    expect(driver.received).toEqual(["one", "two"]);
  });

  test("throws away what was meant for a host that has gone", () => {
    const { loop, driver, told, write, port } = opened();
    driver.attach();
    loop.pass(200);
    driver.say("request");
    driver.setRoom(false);
    write("for the first");
    expect(write("more")).toBe(0);
    driver.detach();
    loop.pass(1000);
    // The owner is told of both: that nobody is there, and that it may go on.
    expect(told).toEqual(["gone", "request", "gone", "room"]);
    expect(port.attended()).toBe(false);
    driver.setRoom(true);
    driver.attach();
    loop.pass(2000);
    driver.say("again");
    write("for the second");
    loop.settle();
    expect(driver.received).toEqual(["for the second"]);
  });

  test("a large reply to nobody does not stay in the way", () => {
    const { loop, told, port } = opened();
    const much = Buffer.alloc(200_000);
    let at = port.write(much, 0, much.byteLength);
    expect(at).toBeLessThan(much.byteLength);
    for (let round = 0; round < 10 && at < much.byteLength; round++) {
      loop.settle();
      expect(told.splice(0)).toContain("room");
      at += port.write(much, at, much.byteLength);
    }
    expect(at).toBe(much.byteLength);
  });

  test("a device that fails says so when it is read or written", () => {
    const { loop, driver, port } = opened();
    driver.attach();
    loop.pass(200);
    expect(() => driver.fail(1617)).toThrow("ReadFile: it failed");
    expect(() => port.write(Buffer.from("x"), 0, 1)).toThrow("ReadFile: it failed");
  });

  test("closed, it does nothing any more", () => {
    const { loop, driver, told, write, port } = opened();
    driver.attach();
    loop.pass(200);
    driver.setRoom(false);
    write("x");
    loop.settle();
    port.close();
    driver.detach();
    loop.pass(10_000);
    expect(told).toEqual(["gone"]);
    expect(loop.waiting).toBe(0);
    expect(driver.closed).toBe(1);
  });
});

describe("a pipe", () => {
  /** A device whose writes end with a code. */
  const opened = (code: number) => {
    const loop = manualLoop();
    const device: Device = {
      read: () => 0,
      write(_from, _start, _end, ended) {
        loop.soon(() => ended(code, 0));
        return 0;
      },
      failure: (call, number) => new SystemError(call, `error ${number}`, "it failed"),
      close() {},
    };
    const port = devicePort(device, loop, false);
    const told: (number | string)[] = [];
    port.watch({
      readable() {
        try {
          told.push(port.read(Buffer.alloc(1)));
        } catch (error) {
          told.push(String(error));
        }
      },
      writable() {},
    });
    return { loop, port, told };
  };

  test("that the other side has closed has ended", () => {
    const { loop, port, told } = opened(ERROR.NO_DATA);
    port.write(Buffer.from("x"), 0, 1);
    loop.settle();
    expect(told).toEqual([-1]);
  });

  test("whose write fails later does not bring down who waits", () => {
    const { loop, port, told } = opened(ERROR.GEN_FAILURE);
    port.write(Buffer.from("x"), 0, 1);
    loop.settle();
    expect(told).toEqual(["SystemError: WriteFile: it failed"]);
  });
});
