/**
 * A host that floods: `bun flood.ts SOCKET COUNT REQUEST` sends a line so many times and ends when it has got as many
 * lines back. It prints `go` when it begins and `done` at the end.
 */
import { createConnection } from "node:net";

const [path = "", count = "0", request = ""] = process.argv.slice(2);
const socket = createConnection(path);
let lines = 0;
socket.on("data", (bytes: Buffer) => {
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) lines++;
  if (lines < Number(count)) return;
  console.log("done");
  socket.destroy();
});
socket.on("connect", () => {
  const flood = `${request}\n`.repeat(Number(count));
  console.log("go");
  socket.write(flood);
});
