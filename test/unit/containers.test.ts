/** Containers, from an engine of this test on a unix socket. */
import { afterEach, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseContainers } from "../../platform/linux/containers.ts";
import { getOverUnixSocket } from "../../platform/linux/local-http.ts";
import { onLoop } from "../lab/on-loop.ts";

let engine: Server;
let folder: string;

async function start(status: number, body: string): Promise<string> {
  folder = await mkdtemp(join(tmpdir(), "inguest-engine-"));
  engine = createServer((request, response) => {
    response.writeHead(request.url === "/list?all=true" ? status : 404);
    response.end(body);
  });
  const path = join(folder, "socket");
  await new Promise<void>((resolve) => engine.listen(path, resolve));
  return path;
}

afterEach(async () => {
  engine?.close();
  await rm(folder, { recursive: true, force: true });
});

test("a long answer is read to its end", async () => {
  const body = `é${"x".repeat(300_000)}`;
  const path = await start(200, body);
  expect(await onLoop(() => getOverUnixSocket(path, "/list?all=true"))).toBe(body);
});

test("what is no success is an error", async () => {
  const path = await start(500, "no");
  expect(onLoop(() => getOverUnixSocket(path, "/list?all=true"))).rejects.toThrow("500");
  expect(onLoop(() => getOverUnixSocket(path, "/other"))).rejects.toThrow("404");
});

test("a socket that is not there, and one that nobody listens on", async () => {
  const path = await start(200, "");
  expect(onLoop(() => getOverUnixSocket("/nowhere", "/"))).rejects.toThrow("No such file");
  expect(onLoop(() => getOverUnixSocket(path.slice(0, -7), "/"))).rejects.toThrow();
});

test("the engine's list", () => {
  const container = { Id: "1", Names: ["/a", 2], Image: "i", Command: "c", Status: "Up", Ports: [] };
  expect(parseContainers(JSON.stringify([container, {}, null, 7]))).toEqual([
    { id: "1", names: ["/a"], image: "i", command: "c", status: "Up" },
    { id: "", names: [], image: "", command: "", status: "" },
  ]);
});

test.each(["", "{}", "null", "[", '"x"'])("%j is no list", (text) => {
  expect(parseContainers(text)).toEqual([]);
});
