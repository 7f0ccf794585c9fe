/** `inguest ctl df`: mounted filesystems and how full they are. */
import type { Json } from "../../framing/json.ts";
import { itemsOf, numberOf, textOf } from "./reply.ts";
import { bytesText, percentText } from "./units.ts";
import { EXIT, show, type Verb } from "./verb.ts";

function rowOf(filesystem: Json): Json {
  const total = numberOf(filesystem, "total-bytes");
  const used = numberOf(filesystem, "used-bytes");
  const isKnown = total !== undefined && used !== undefined;
  return {
    device: textOf(filesystem, "name") ?? "?",
    type: textOf(filesystem, "type") ?? "?",
    size: isKnown ? bytesText(total) : null,
    used: isKnown ? bytesText(used) : null,
    free: isKnown ? bytesText(total - used) : null,
    full: isKnown ? percentText(used, total) : null,
    "mounted on": textOf(filesystem, "mountpoint") ?? "?",
  };
}

export const df = {
  name: "df",
  summary: "list mounted filesystems and how full they are",
  operands: "",
  count: [0, 0],
  async run(context) {
    const filesystems = await context.client.call("guest-get-fsinfo", {});
    show(context, filesystems, itemsOf(filesystems).map(rowOf));
    return EXIT.success;
  },
} as const satisfies Verb;
