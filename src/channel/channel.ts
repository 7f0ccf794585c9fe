/** Carries bytes between one port and the session of its host. */
import type { Loop, Port } from "../guest.ts";
import { SystemError } from "../guest.ts";
import { createOutbox, type Outbox } from "./outbox.ts";
import type { Session } from "./session.ts";

export interface ChannelEvents {
  /** Makes the session of a host. */
  session(outbox: Outbox, resume: () => void): Session;
  /** The port is of no use any more; it was closed. */
  ended(reason: SystemError | undefined): void;
}

/** One for all channels: a session keeps nothing of it beyond the call. */
const READ_SIZE = 256 * 1024;
const incoming = Buffer.allocUnsafeSlow(READ_SIZE);

/** Serves a port until it fails or its host goes. @returns closes it */
export function serve(port: Port, loop: Loop, events: ChannelEvents): () => void {
  let open = true;
  /** What a paused session left over. */
  let leftover: Buffer | undefined;
  let scheduled = false;

  const end = (reason: SystemError | undefined): void => {
    if (!open) return;
    open = false;
    outbox.clear();
    session.reset();
    port.close();
    events.ended(reason);
  };

  const hostGone = (): void => {
    leftover = undefined;
    outbox.clear();
    session.reset();
    if (!port.persistent) end(undefined);
  };

  const feed = (bytes: Buffer, length: number): void => {
    const stopped = session.push(bytes, 0, length);
    if (stopped < length) leftover = Buffer.from(bytes.subarray(stopped, length));
  };

  const later = (): void => {
    if (scheduled) return;
    scheduled = true;
    loop.soon(() => {
      scheduled = false;
      turn();
    });
  };

  /** One chunk, so that a busy host does not keep the others waiting. */
  const step = (): void => {
    outbox.flush();
    if (session.paused()) return;
    if (leftover !== undefined) {
      const rest = leftover;
      leftover = undefined;
      feed(rest, rest.byteLength);
    } else {
      const count = port.read(incoming);
      if (count < 0) return hostGone();
      if (count === 0) return;
      feed(incoming, count);
    }
    if (!open) return;
    outbox.flush();
    if (!session.paused() && (leftover !== undefined || !port.drained)) later();
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
  const session = events.session(outbox, later);
  port.watch({ readable: turn, writable: turn });
  return () => end(undefined);
}
