/**
 * A host that floods: `bun flood.ts SOCKET COUNT REQUEST` sends a line so many times and ends when it has got as many
 * lines back.
 */
import { createConnection } from "node:net";

const [path = "", count = "0", request = ""] = process.argv.slice(2);
const socket = createConnection(path);
let lines = 0;
socket.on("data", (bytes: Buffer) => {
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) lines++;
  if (lines >= Number(count)) process.exit(0);
});
socket.write(`${request}\n`.repeat(Number(count)));
