/** How much of a message is taken, in one table. */
export const LIMITS = {
  /** Bytes of all tokens of one message. */
  tokenBytes: 64 * 1024 * 1024,
  tokens: 2 * 1024 * 1024,
  depth: 1024,
  /** Bytes of one line where messages are lines; more than vdsm itself takes. */
  lineBytes: 1024 * 1024,
  /** Bytes of an error text that quotes what the host sent. */
  quoted: 1024,
} as const;
