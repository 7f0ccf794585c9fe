/** echo: whether anybody is there. */
import { operation } from "../operation.ts";

export const echo = operation({
  name: "echo",
  summary: "Sends the request back unchanged.",
  arguments: {},
  allowedWhenFrozen: true,
  run: (_values, _context, given) => given,
});
