/** Containers, asked of the engines' own sockets: Docker's Engine API, which Podman has too. */
import { existsSync } from "node:fs";
import type { Container, Containers } from "../../src/guest.ts";
import { getOverUnixSocket } from "./local-http.ts";

const SOCKETS = ["/run/docker.sock", "/run/podman/podman.sock"];
const RESOURCE = "/containers/json?all=true";

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

/** The list that an engine has sent; what is not of the expected form is left out. */
export function parseContainers(json: string): Container[] {
  let list: unknown;
  try {
    list = JSON.parse(json);
  } catch {
    return [];
  }
  if (!Array.isArray(list)) return [];
  return list.filter(isObject).map(({ Id, Names, Image, Command, Status }) => ({
    id: textOf(Id),
    names: Array.isArray(Names) ? Names.filter((name) => typeof name === "string") : [],
    image: textOf(Image),
    command: textOf(Command),
    status: textOf(Status),
  }));
}

async function listAt(socket: string): Promise<Container[]> {
  try {
    return parseContainers(await getOverUnixSocket(socket, RESOURCE));
  } catch {
    return [];
  }
}

export const containers: Containers = {
  list: async () => (await Promise.all(SOCKETS.filter((path) => existsSync(path)).map(listAt))).flat(),
};
