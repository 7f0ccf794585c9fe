/** Options that pull and push share. */
import type { DescribedOption } from "../../config/help.ts";

export const RESTART = {
  long: "restart",
  argument: "none",
  help: "begin anew, even where a part was transferred before",
} as const satisfies DescribedOption;

export const NO_VERIFY = {
  long: "no-verify",
  argument: "none",
  help: "do not compare checksums at the end",
} as const satisfies DescribedOption;
