/** Byte streams to a host: virtio-serial, serial lines, listening sockets, standard input and output. */
import { ptr } from "bun:ffi";
import { type Listener, type Port, type PortEvents, type Ports, SystemError } from "../../src/guest.ts";
import { exists } from "./files.ts";
import { check, cstring, EAGAIN, ECONNRESET, EINTR, EPIPE, errno, libc, systemError } from "./libc.ts";
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, loop, rewatchFd, unwatchFd, watchFd } from "./loop.ts";
import { makeRaw } from "./tty.ts";

const O_RDWR = 0o2;
const O_NOCTTY = 0o400;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const FD_CLOEXEC = 1;

const AF_UNIX = 1;
const AF_VSOCK = 40;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SOCK_FLAGS = O_NONBLOCK | O_CLOEXEC; // SOCK_NONBLOCK | SOCK_CLOEXEC have these values (socket(2))

/** What a host may leave unread; the kernel allows less (socket(7), wmem_max). It is for the agent to go on meanwhile. */
const SEND_BUFFER = Int32Array.of(1024 * 1024);

/** struct sockaddr_un (unix(7)). */
export const SOCKADDR_UN = { size: 110, family: 0, path: 2 };
/** struct sockaddr_vm (vsock(7)). */
export const SOCKADDR_VM = { size: 16, family: 0, port: 4, cid: 8 };

/** struct pollfd (poll(2)). */
const POLLFD = { size: 8, fd: 0, revents: 6 };
const POLLHUP = 0x10;
const pollfd = Buffer.alloc(POLLFD.size);

const IN_CREATE_OR_MOVED = 0x100 | 0x80;
const IN_ATTRIB = 0x4;
const IN_DELETE_SELF = 0x400;

/** The first descriptor that a service manager hands over (sd_listen_fds(3)). */
const LISTEN_FDS_START = 3;

interface Nature {
  readonly persistent: boolean;
  /** Whether a read that fills less than the buffer proves that nothing more is there. */
  readonly shortReadDrains: boolean;
}

/** @returns false for a file, which is always ready and cannot be waited for (EPERM, epoll_ctl(2)). @throws SystemError */
function tryWatch(fd: number, events: number, ready: (mask: number) => void): boolean {
  try {
    watchFd(fd, events, ready);
    return true;
  } catch (error) {
    if (error instanceof SystemError && error.code === "EPERM") return false;
    throw error;
  }
}

function descriptorPort(input: number, output: number, nature: Nature): Port {
  let events: PortEvents | undefined;
  let waitingForRoom = false;
  let drained = false;
  /** Whether the last event came with the end of the stream, which no event of its own will tell. */
  let ending = false;
  const interest = EPOLLIN | EPOLLRDHUP;

  const ready = (mask: number): void => {
    if (waitingForRoom && mask & EPOLLOUT) {
      waitingForRoom = false;
      rewatchFd(output, output === input ? interest : 0);
      events?.writable();
    }
    if (mask & ~EPOLLOUT) {
      drained = false;
      ending = (mask & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) !== 0;
      events?.readable();
    }
  };

  return {
    persistent: nature.persistent,
    get drained() {
      return drained;
    },
    watch(wanted) {
      events = wanted;
      if (!tryWatch(input, interest, ready)) loop.soon(() => ready(EPOLLIN));
      if (output !== input) tryWatch(output, 0, ready);
    },
    read(into) {
      const count = Number(libc.read(input, into, into.byteLength));
      if (count > 0) {
        drained = nature.shortReadDrains && !ending && count < into.byteLength;
        return count;
      }
      if (count === 0) return -1;
      const code = errno();
      if (code === EAGAIN || code === EINTR) return 0;
      if (code === ECONNRESET || code === EPIPE) return -1;
      throw systemError("read", code);
    },
    write(from, start, end) {
      let at = start;
      // A virtio port takes 32 KiB of a longer write, however much room there is: only EAGAIN says that it is full.
      while (at < end) {
        const count = Number(libc.write(output, ptr(from, at), end - at));
        if (count >= 0) {
          at += count;
          continue;
        }
        const code = errno();
        if (code === EINTR) continue;
        if (code !== EAGAIN) throw systemError("write", code);
        if (!waitingForRoom) {
          waitingForRoom = true;
          rewatchFd(output, output === input ? interest | EPOLLOUT : EPOLLOUT);
        }
        break;
      }
      return at - start;
    },
    attended() {
      pollfd.writeInt32LE(output, POLLFD.fd);
      return libc.poll(pollfd, 1, 0) <= 0 || (pollfd.readUInt16LE(POLLFD.revents) & POLLHUP) === 0;
    },
    close() {
      unwatchFd(input);
      libc.close(input);
      if (output !== input) {
        unwatchFd(output);
        libc.close(output);
      }
    },
  };
}

function descriptorListener(fd: number): Listener {
  return {
    watch(waiting) {
      watchFd(fd, EPOLLIN, waiting);
    },
    accept() {
      const client = libc.accept4(fd, null, null, SOCK_FLAGS);
      if (client < 0) {
        const code = errno();
        // The host may have gone between its connect and this accept: then there is just nobody.
        if (code === EAGAIN || code === EINTR || code === 103 /* ECONNABORTED */) return undefined;
        throw systemError("accept4", code);
      }
      libc.setsockopt(client, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER, SEND_BUFFER.byteLength);
      return descriptorPort(client, client, { persistent: false, shortReadDrains: true });
    },
    close() {
      unwatchFd(fd);
      libc.close(fd);
    },
  };
}

function openDevice(path: string): number {
  return check(libc.open(cstring(path), O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0), "open", path);
}

function listenOn(family: number, address: Uint8Array, subject: string): Listener {
  const fd = check(libc.socket(family, SOCK_STREAM | SOCK_FLAGS, 0), "socket", subject);
  try {
    check(libc.bind(fd, address, address.byteLength), "bind", subject);
    check(libc.listen(fd, 1), "listen", subject);
  } catch (error) {
    libc.close(fd);
    throw error;
  }
  return descriptorListener(fd);
}

function socketFamily(fd: number): number {
  const address = Buffer.alloc(128);
  const length = new Uint32Array([address.byteLength]);
  check(libc.getsockname(fd, address, length), "getsockname");
  return address.readUInt16LE(0);
}

/** The nearest directory above `path` that exists. */
function nearestDirectory(path: string): string {
  // The start of an agent whose channel is there does without this module.
  const { dirname }: typeof import("node:path") = require("node:path");
  let directory = dirname(path);
  while (!exists(directory)) directory = dirname(directory);
  return directory;
}

function makeNonblocking(fd: number): void {
  const flags = check(libc.fcntl(fd, F_GETFL, 0), "fcntl");
  check(libc.fcntl(fd, F_SETFL, flags | O_NONBLOCK), "fcntl");
}

/** Takes over what the service manager left; the variables are removed, so that no child sees them. */
function takeActivated(): ReturnType<Ports["activated"]> {
  const { LISTEN_PID, LISTEN_FDS } = process.env;
  delete process.env.LISTEN_PID;
  delete process.env.LISTEN_FDS;
  if (Number(LISTEN_PID) !== process.pid || !(Number(LISTEN_FDS) > 0)) return undefined;
  if (Number(LISTEN_FDS) > 1)
    throw new SystemError("LISTEN_FDS", "E2BIG", "only one listening socket can be handed over");
  const family = socketFamily(LISTEN_FDS_START);
  const method = ({ [AF_UNIX]: "unix-listen", [AF_VSOCK]: "vsock-listen" } as const)[family];
  if (method === undefined) throw new SystemError("LISTEN_FDS", "EAFNOSUPPORT", "unsupported listen fd type");
  return {
    method,
    listen() {
      libc.fcntl(LISTEN_FDS_START, F_SETFD, FD_CLOEXEC);
      makeNonblocking(LISTEN_FDS_START);
      return descriptorListener(LISTEN_FDS_START);
    },
  };
}

let activated: { readonly socket: ReturnType<Ports["activated"]> } | undefined;

export const ports: Ports = {
  defaults: { virtioSerial: "/dev/virtio-ports/org.qemu.guest_agent.0", isaSerial: "/dev/ttyS0" },

  openVirtioSerial(path) {
    const fd = openDevice(path);
    return descriptorPort(fd, fd, { persistent: true, shortReadDrains: false });
  },

  openSerial(path) {
    const fd = openDevice(path);
    makeRaw(fd);
    return descriptorPort(fd, fd, { persistent: true, shortReadDrains: false });
  },

  listenUnix(path) {
    const name = Buffer.from(path);
    const room = SOCKADDR_UN.size - SOCKADDR_UN.path - 1;
    if (name.byteLength > room) throw systemError("bind", 36 /* ENAMETOOLONG */, path);
    const address = Buffer.alloc(SOCKADDR_UN.size);
    address.writeUInt16LE(AF_UNIX, SOCKADDR_UN.family);
    name.copy(address, SOCKADDR_UN.path);
    libc.unlink(cstring(path));
    return listenOn(AF_UNIX, address, path);
  },

  listenVsock(cid, port) {
    const address = Buffer.alloc(SOCKADDR_VM.size);
    address.writeUInt16LE(AF_VSOCK, SOCKADDR_VM.family);
    address.writeUInt32LE(port, SOCKADDR_VM.port);
    address.writeUInt32LE(cid, SOCKADDR_VM.cid);
    return listenOn(AF_VSOCK, address, `${cid}:${port}`);
  },

  stdio() {
    makeNonblocking(0);
    makeNonblocking(1);
    return descriptorPort(0, 1, { persistent: false, shortReadDrains: false });
  },

  activated() {
    activated ??= { socket: takeActivated() };
    return activated.socket;
  },

  watchPath(path, appeared) {
    const fd = check(libc.inotify_init1(SOCK_FLAGS), "inotify_init1");
    const events = Buffer.alloc(4096);
    let watch = -1;
    const arm = (): void => {
      if (watch >= 0) libc.inotify_rm_watch(fd, watch);
      watch = libc.inotify_add_watch(
        fd,
        cstring(nearestDirectory(path)),
        IN_CREATE_OR_MOVED | IN_ATTRIB | IN_DELETE_SELF,
      );
    };
    watchFd(fd, EPOLLIN, () => {
      while (Number(libc.read(fd, events, events.byteLength)) > 0);
      arm();
      while (Number(libc.read(fd, events, events.byteLength)) > 0);
      if (exists(path)) appeared();
    });
    arm();
    return () => {
      unwatchFd(fd);
      libc.close(fd);
    };
  },
};
