/** Ways from a host to an agent that Bun has none of its own for: vsock, and serial lines as they are. */
import type { HostLines } from "../../src/guest.ts";
import { check, cstring, libc } from "./libc.ts";
import { SOCKADDR_VM } from "./ports.ts";
import { makeRaw } from "./tty.ts";

const O_RDWR = 0o2;
const O_NOCTTY = 0o400;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const F_GETFL = 3;
const F_SETFL = 4;
const AF_VSOCK = 40;
const SOCK_STREAM = 1;

const openLine = (path: string, flags: number): number =>
  check(libc.open(cstring(path), O_RDWR | O_NOCTTY | O_CLOEXEC | flags, 0), "open", path);

export const hostLines: HostLines = {
  connectVsock(cid, port) {
    const subject = `${cid}:${port}`;
    const address = Buffer.alloc(SOCKADDR_VM.size);
    address.writeUInt16LE(AF_VSOCK, SOCKADDR_VM.family);
    address.writeUInt32LE(port, SOCKADDR_VM.port);
    address.writeUInt32LE(cid, SOCKADDR_VM.cid);
    const fd = check(libc.socket(AF_VSOCK, SOCK_STREAM | O_CLOEXEC, 0), "socket", subject);
    try {
      // The kernel gives up by itself after two seconds.
      check(libc.connect(fd, address, address.byteLength), "connect", subject);
      const flags = check(libc.fcntl(fd, F_GETFL, 0), "fcntl", subject);
      check(libc.fcntl(fd, F_SETFL, flags | O_NONBLOCK), "fcntl", subject);
    } catch (error) {
      libc.close(fd);
      throw error;
    }
    return fd;
  },

  openSerial(path) {
    const input = openLine(path, 0);
    try {
      makeRaw(input);
      return { input, output: openLine(path, O_NONBLOCK) };
    } catch (error) {
      libc.close(input);
      throw error;
    }
  },
};
