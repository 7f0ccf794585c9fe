/** A GET request over a unix socket, in HTTP/1.0: the answer then ends with the connection (RFC 1945). */
import { SystemError } from "../../src/guest.ts";
import { check, cstring, EAGAIN, EINTR, errno, libc, systemError } from "./libc.ts";
import { EPOLLIN, EPOLLRDHUP, loop, unwatchFd, watchFd } from "./loop.ts";
import { SOCKADDR_UN } from "./ports.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK_CLOEXEC = 0o2004000;
const TIMEOUT_MS = 5_000;
const MOST_BYTES = 4 * 1024 * 1024;

function connect(path: string): number {
  const fd = check(libc.socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK_CLOEXEC, 0), "socket", path);
  const address = Buffer.alloc(SOCKADDR_UN.size);
  address.writeUInt16LE(AF_UNIX, SOCKADDR_UN.family);
  cstring(path).forEach((byte, index) => {
    address[SOCKADDR_UN.path + index] = byte;
  });
  if (libc.connect(fd, address, address.byteLength) < 0) {
    const code = errno();
    libc.close(fd);
    throw systemError("connect", code, path);
  }
  return fd;
}

/** The body of a complete answer with status 200. @throws SystemError */
function bodyOf(answer: Buffer, path: string): string {
  const end = answer.indexOf("\r\n\r\n");
  const head = answer.toString("latin1", 0, Math.max(end, 0));
  if (!/^HTTP\/1\.\d 200 /.test(head)) throw new SystemError("GET", "EPROTO", head.split("\r\n", 1)[0] ?? "", path);
  return answer.toString("utf8", end + 4);
}

/**
 * @param path the socket; @param resource what is asked for
 * @returns the body. @throws SystemError when it does not come, whole and with status 200, within 5 seconds
 */
export function getOverUnixSocket(path: string, resource: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let fd: number;
  try {
    fd = connect(path);
  } catch (error) {
    reject(error);
    return promise;
  }
  const pieces: Buffer[] = [];
  let length = 0;
  const end = (settle: () => void): void => {
    cancel();
    unwatchFd(fd);
    libc.close(fd);
    settle();
  };
  const fail = (code: string, reason: string): void => end(() => reject(new SystemError("GET", code, reason, path)));
  const cancel = loop.after(TIMEOUT_MS, () => fail("ETIMEDOUT", "no answer"));
  const readable = (): void => {
    const piece = Buffer.alloc(16 * 1024);
    for (;;) {
      const count = Number(libc.read(fd, piece, piece.byteLength));
      if (count === 0) break;
      if (count < 0) {
        const code = errno();
        if (code === EAGAIN) return;
        if (code === EINTR) continue;
        const { code: name, reason } = systemError("read", code);
        return fail(name, reason);
      }
      pieces.push(Buffer.from(piece.subarray(0, count)));
      length += count;
      if (length > MOST_BYTES) return fail("EMSGSIZE", "the answer is too long");
    }
    end(() => {
      try {
        resolve(bodyOf(Buffer.concat(pieces), path));
      } catch (error) {
        reject(error);
      }
    });
  };
  watchFd(fd, EPOLLIN | EPOLLRDHUP, readable);
  const request = Buffer.from(`GET ${resource} HTTP/1.0\r\nHost: localhost\r\n\r\n`);
  // So little always fits into a new socket.
  if (Number(libc.write(fd, request, request.byteLength)) !== request.byteLength) fail("EIO", "cannot write");
  return promise;
}
