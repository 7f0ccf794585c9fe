/** Which agent is meant, and the way to it. */
import type { FoundOption } from "../../config/getopt.ts";
import type { DescribedOption } from "../../config/help.ts";
import type { Guest, HostLines } from "../../guest.ts";
import { type Client, connectClient } from "../client.ts";
import { TARGET_OPTIONS } from "../ctl-options.ts";
import { serialLine, unixLine, vsockLine } from "./line.ts";
import { UsageError } from "./verb.ts";
import { createVirshClient } from "./virsh.ts";

/** Connects. @param timeout milliseconds. @throws ConnectionError */
export type Connect = (timeout: number) => Promise<Client>;

type Host = Pick<Guest, "hostLines">;

function linesOf({ hostLines }: Host): HostLines {
  if (hostLines === undefined) throw new UsageError("this system knows neither --vsock nor --serial");
  return hostLines;
}

const LARGEST = 2 ** 32 - 1;

/** @throws UsageError */
function readVsock(text: string): readonly [cid: number, port: number] {
  const [, cid, port] = /^(\d{1,10}):(\d{1,10})$/.exec(text) ?? [];
  if (cid === undefined || port === undefined || Number(cid) > LARGEST || Number(port) > LARGEST) {
    throw new UsageError(`option --vsock: '${text}' is not CID:PORT`);
  }
  return [Number(cid), Number(port)];
}

const WAYS: Readonly<Record<keyof typeof TARGET_OPTIONS, (value: string, host: Host) => Connect>> = {
  socket: (path) => (timeout) => connectClient(unixLine(path), timeout),
  libvirt: (domain) => async (timeout) => createVirshClient(domain, timeout),
  vsock(text, host) {
    const [cid, port] = readVsock(text);
    const lines = linesOf(host);
    return (timeout) => connectClient(vsockLine(lines, cid, port), timeout);
  },
  serial(path, host) {
    const lines = linesOf(host);
    return (timeout) => connectClient(serialLine(lines, path), timeout);
  },
};

const names = Object.values(TARGET_OPTIONS).map(({ long }) => `--${long}`);

const isWay = (name: string): name is keyof typeof TARGET_OPTIONS => Object.hasOwn(TARGET_OPTIONS, name);

/** @throws UsageError when none is given, or several are */
export function readTarget(found: readonly FoundOption<DescribedOption>[], host: Host): Connect {
  const given = found.flatMap(({ option, value }) => (isWay(option.long) ? [{ way: option.long, value }] : []));
  const ways = new Set(given.map(({ way }) => way));
  const last = given.at(-1);
  if (last === undefined) throw new UsageError(`one of ${names.join(", ")} is needed`);
  if (ways.size > 1) throw new UsageError(`only one of ${names.join(", ")} can be given`);
  return WAYS[last.way](last.value ?? "", host);
}
