/** Keeps the ways to hosts open: hosts come one after the other, and lines come back. */
import { type Guest, type Listener, type Port, SystemError } from "../guest.ts";
import type { Log } from "../log.ts";
import { type Channel, type ChannelEvents, serve } from "./channel.ts";
import type { Transport } from "./transport.ts";

export interface Serving {
  readonly guest: Guest;
  readonly log: Log;
  readonly session: ChannelEvents["session"];
  /** The channels that are open. */
  readonly open: Set<Channel>;
}

/** How long a line that is there but cannot be opened (another agent has it), or that fails at once, is left alone. */
const RETRY_MS = 5000;
/** A line that lasts no longer has failed at once. */
const AT_ONCE_MS = 100;

function serveOn(port: Port, { guest, session, open }: Serving, ended: ChannelEvents["ended"]): void {
  const channel = serve(port, guest.loop, {
    session,
    ended(reason) {
      open.delete(channel);
      ended(reason);
    },
  });
  open.add(channel);
}

/** Serves one host after the other. */
export function serveListener(listener: Listener, serving: Serving): void {
  const { guest, log } = serving;
  let busy = false;
  const next = (): void => {
    if (busy) return;
    let port: Port | undefined;
    try {
      port = listener.accept();
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      log.write("warning", `error accepting a connection: ${error.message}`);
    }
    if (port === undefined) return;
    busy = true;
    serveOn(port, serving, (reason) => {
      if (reason !== undefined) log.write("warning", `error on the channel: ${reason.message}`);
      busy = false;
      // Not from within the old connection's call: a crowd of hosts that come and go would nest without end.
      guest.loop.soon(next);
    });
  };
  listener.watch(next);
  next();
}

/**
 * Serves a line, and opens it again when it comes back as long as `mayWait` says so.
 * @param lost it is gone for good
 * @throws SystemError when it cannot be opened, and is not to be waited for
 */
export function serveLine(
  line: Transport & { kind: "line" },
  serving: Serving,
  mayWait: () => boolean,
  lost: () => void,
): void {
  const { guest, log } = serving;
  const open = (): void => {
    const port = line.open();
    const opened = performance.now();
    serveOn(port, serving, (reason) => {
      log.write("warning", `the channel ${line.path} ended: ${reason?.message ?? "closed"}`);
      if (!mayWait()) return lost();
      // One that opens and fails at once, over and over, is not to keep the guest busy.
      if (performance.now() - opened < AT_ONCE_MS) guest.loop.after(RETRY_MS, wait);
      else wait();
    });
  };
  const wait = (): void => {
    let timer: (() => void) | undefined;
    const attempt = (): void => {
      timer?.();
      timer = undefined;
      try {
        open();
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        log.write("debug", `still waiting for the channel: ${error.message}`);
        if (guest.files.exists(line.path)) timer = guest.loop.after(RETRY_MS, attempt);
        return;
      }
      unwatch();
      log.write("warning", `the channel ${line.path} is there`);
    };
    log.write("warning", `waiting for channel path ${line.path}`);
    const unwatch = guest.ports.watchPath(line.path, attempt);
    guest.loop.soon(attempt);
  };
  if (!mayWait()) return open();
  try {
    open();
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    wait();
  }
}
