/** What a dialect does with the bytes of one host. */
export interface Session {
  /** Takes `bytes[start, end)`, which are only valid during the call. @returns where it stopped because it is paused */
  push(bytes: Buffer, start: number, end: number): number;
  /** Whether it takes no more for now: a command is at work, or the host does not read. */
  paused(): boolean;
  /** The host has gone: what was half read or half done is forgotten. */
  reset(): void;
  /** The agent is about to end: the host's last chance to hear something. */
  farewell?(): void;
  /** The channel is over, and no call follows. */
  ended?(): void;
}
