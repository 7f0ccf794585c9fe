/** A reply that is made while it is written. */

/** Writes itself slice by slice; the channel asks for the next slice only when the host has taken the last. */
export interface Body {
  readonly kind: "body";
  /** Whether all was put. */
  readonly over: boolean;
  /**
   * Puts the next bytes at `into[start, end)`; at least 64 KiB of room are given.
   * @returns how many
   */
  next(into: Buffer, start: number, end: number): number;
}

export const isBody = (value: unknown): value is Body =>
  typeof value === "object" && value !== null && "kind" in value && value.kind === "body";
