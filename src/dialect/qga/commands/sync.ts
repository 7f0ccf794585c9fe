/** guest-sync and its delimited kind: the host finds out where the stream stands. */
import { command } from "../command.ts";
import { int64 } from "../wire.ts";

export const sync = command({
  name: "guest-sync",
  since: "0.15.0",
  summary: "Returns `id`, so that the host can tell this reply from stale ones.",
  arguments: { id: int64 },
  returns: int64,
  allowedWhenFrozen: true,
  run: ({ id }) => id,
});

export const syncDelimited = command({
  name: "guest-sync-delimited",
  since: "1.1",
  summary: "Returns `id` behind a 0xFF byte, so that the host can skip whatever came before.",
  arguments: { id: int64 },
  returns: int64,
  allowedWhenFrozen: true,
  delimited: true,
  run: ({ id }) => id,
});
