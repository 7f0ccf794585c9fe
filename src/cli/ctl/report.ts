/** What pull and push say when they are done. */
import { print } from "../print.ts";
import { printJson } from "../render.ts";
import { bytesText, durationText } from "./units.ts";
import type { Context } from "./verb.ts";

/** How it is known that a copy is like its original. */
export type Proof = "checksum" | "reread" | "none";

export interface Tally {
  /** What the user asked for. */
  readonly name: string;
  files: number;
  /** Files that were the same already. */
  unchanged: number;
  /** Bytes that came over the line. */
  bytes: number;
  /** Bytes that were there from an earlier try. */
  resumed: number;
  /** The weakest proof of all files. */
  proof: Proof;
  /** Of a single file. */
  sha256?: string;
  /** Seconds spent with bytes on the line, without checksums. */
  seconds: number;
}

const PROOFS: Readonly<Record<Proof, string>> = {
  checksum: "checksum verified",
  reread: "verified by reading it again",
  none: "not verified",
};
const STRENGTH: readonly Proof[] = ["none", "reread", "checksum"];

export const weaker = (a: Proof, b: Proof): Proof => (STRENGTH.indexOf(a) < STRENGTH.indexOf(b) ? a : b);

export const newTally = (name: string): Tally => ({
  name,
  files: 0,
  unchanged: 0,
  bytes: 0,
  resumed: 0,
  proof: "checksum",
  seconds: 0,
});

function sentence({ name, files, unchanged, bytes, resumed, proof, seconds }: Tally): string {
  const what = files + unchanged === 1 ? "" : `${files} files, `;
  const rate = seconds > 0 ? `, ${bytesText(Math.round(bytes / seconds))}/s` : "";
  const parts = [
    `${what}${bytesText(bytes)} in ${durationText(seconds)}${rate}`,
    resumed > 0 ? `${bytesText(resumed)} were there already` : "",
    unchanged > 0 ? `${unchanged} unchanged` : "",
    files === 0 && unchanged > 0 ? "" : PROOFS[proof],
  ];
  return `${name}: ${parts.filter(Boolean).join("; ")}`;
}

/** A line for a person, an object in JSON for a program. */
export function reportTransfer({ json }: Pick<Context, "json">, tally: Tally): void {
  const { name, sha256, ...numbers } = tally;
  print(
    json
      ? `${printJson({ path: name, ...numbers, ...(sha256 === undefined ? {} : { sha256 }) })}\n`
      : `${sentence(tally)}\n`,
  );
}
