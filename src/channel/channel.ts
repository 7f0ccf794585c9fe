/** Carries bytes between one port and the session of its host. */
import type { Loop, Port } from "../guest.ts";
import { SystemError } from "../guest.ts";
import { spent, worked } from "../memory.ts";
import { createOutbox, type Outbox } from "./outbox.ts";
import type { Session } from "./session.ts";

export interface ChannelEvents {
  /**
   * Makes the session of a host.
   * @param resume asks for a turn: what is in the outbox is sent, and reading goes on
   * @param enough asked after each message: whether the others should have their turn first
   */
  session(outbox: Outbox, resume: () => void, enough: () => boolean): Session;
  /** The port is of no use any more; it was closed. */
  ended(reason: SystemError | undefined): void;
}

/** One for all channels: a session keeps nothing of it beyond the call. */
const READ_SIZE = 128 * 1024;
const incoming = Buffer.allocUnsafeSlow(READ_SIZE);

/** So long a session works on its messages before the others have their turn. */
const TURN_MS = 0.01;
/** When the turn that is on has begun: there is only one at a time. */
let turnBegan = 0;
/** Alone, a channel need not stop for others. */
let channelsOpen = 0;
const enough = (): boolean => channelsOpen > 1 && performance.now() - turnBegan > TURN_MS;

export interface Channel {
  /** Tells the host that the agent ends. */
  farewell(): void;
}

/** Serves a port until it fails or its host goes. */
export function serve(port: Port, loop: Loop, events: ChannelEvents): Channel {
  let open = true;
  /** What a paused session, or one that had its turn, left over, from `leftAt` on. */
  let leftover: Buffer | undefined;
  let leftAt = 0;
  let scheduled = false;

  const end = (reason: SystemError | undefined): void => {
    if (!open) return;
    open = false;
    channelsOpen--;
    outbox.clear();
    session.reset();
    session.ended?.();
    port.close();
    events.ended(reason);
  };

  const hostGone = (): void => {
    leftover = undefined;
    outbox.clear();
    session.reset();
    if (!port.persistent) end(undefined);
  };

  const feed = (bytes: Buffer, start: number, length: number): void => {
    turnBegan = performance.now();
    const stopped = session.push(bytes, start, length);
    if (bytes === leftover) {
      leftAt = stopped;
      if (stopped === length) leftover = undefined;
    } else if (stopped < length) {
      leftover = Buffer.from(bytes.subarray(stopped, length));
      leftAt = 0;
      spent(length - stopped);
    }
  };

  const later = (): void => {
    if (scheduled) return;
    scheduled = true;
    loop.soon(() => {
      scheduled = false;
      turn();
    });
  };

  /**
   * A line without a host takes nothing, and does not say that it has none to who only waits for room: what was meant
   * for the one that has gone would stay, and be the next one's first answer.
   */
  const endIfAlone = (): void => {
    if (!port.persistent || port.attended()) return;
    hostGone();
    later();
  };

  /** One chunk, so that a busy host does not keep the others waiting. */
  const step = (): void => {
    outbox.flush();
    if (session.paused()) return endIfAlone();
    if (leftover !== undefined) {
      feed(leftover, leftAt, leftover.byteLength);
    } else {
      const count = port.read(incoming);
      if (count < 0) return hostGone();
      if (count === 0) return;
      worked(count);
      feed(incoming, 0, count);
    }
    if (!open) return;
    outbox.flush();
    if (session.paused()) endIfAlone();
    else if (leftover !== undefined || !port.drained) later();
  };

  const turn = (): void => {
    if (!open) return;
    try {
      step();
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      end(error);
    }
  };

  const outbox = createOutbox(port);
  const session = events.session(outbox, later, enough);
  port.watch({ readable: turn, writable: turn });
  channelsOpen++;
  return {
    farewell() {
      if (!open) return;
      try {
        session.farewell?.();
        outbox.flush();
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
      }
    },
  };
}
