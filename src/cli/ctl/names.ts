/** Paths of the guest. Its names are bytes; the protocol has text only. */
import { isUtf8 } from "node:buffer";
import type { Client } from "../client.ts";
import { runScript } from "./programs.ts";
import { TaskError } from "./verb.ts";

const SLASH = "/";

export interface GuestPath {
  /** As the agent can be told. */
  readonly text: string;
  /** For people. */
  readonly shown: string;
}

export interface Names {
  /** A path in words; where it has bytes that are no text, a link that leads to it is made. @throws TaskError */
  path(bytes: Buffer): Promise<GuestPath>;
  /** Removes what was made. */
  close(): Promise<void>;
}

export function createNames(client: Client): Names {
  let folder: string | undefined;
  let links = 0;

  const script = async (text: string, args: readonly string[], input?: Uint8Array): Promise<void> => {
    const ended = await runScript(client, text, args, input);
    if (ended?.exitCode !== 0) throw new TaskError("a name that is not UTF-8 needs a link, which could not be made");
  };

  return {
    async path(bytes) {
      const shown = bytes.toString("utf8");
      if (isUtf8(bytes)) return { text: shown, shown };
      if (folder === undefined) {
        const wanted = `/tmp/inguest-${crypto.randomUUID()}`;
        await script('mkdir -m 700 -- "$1"', [wanted]);
        folder = wanted;
      }
      const text = `${folder}${SLASH}${links++}`;
      await script("xargs -0 ln -s --", [], Buffer.concat([bytes, Buffer.from(`\0${text}\0`)]));
      return { text, shown };
    },
    async close() {
      if (folder !== undefined) await runScript(client, 'rm -rf -- "$1"', [folder]);
    },
  };
}
