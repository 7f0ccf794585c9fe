/** Where log lines go: standard error, files, and the syslog socket. */
import type { LogFile, Logs } from "../../src/guest.ts";
import { check, cstring, EAGAIN, EINTR, errno, libc } from "./libc.ts";
import { SOCKADDR_UN } from "./ports.ts";

const O_WRONLY = 1;
const O_CREAT = 0o100;
const O_NOCTTY = 0o400;
const O_APPEND = 0o2000;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
/** Before the umask, as fopen(3) creates files. */
const NEW_FILE_MODE = 0o666;

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCKET = "/dev/log";
/** LOG_USER | LOG_INFO (syslog(3)). */
const USER_INFO = (1 << 3) | 6;
/** How long a missing syslog is not asked for again. */
const RETRY_MS = 5000;

const descriptorFile = (fd: number): LogFile => ({
  write(text) {
    const bytes = Buffer.from(text, "utf8");
    let at = 0;
    while (at < bytes.byteLength) {
      const count = Number(libc.write(fd, bytes.subarray(at), bytes.byteLength - at));
      if (count > 0) at += count;
      else if (count === 0 || errno() !== EINTR) return;
    }
  },
});

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const twoDigits = (value: number): string => String(value).padStart(2, "0");

/** A packet as syslog(3) sends it (RFC 3164, section 4.1). */
function syslogPacket(text: string): Buffer {
  // The start of an agent does without this module.
  const { basename }: typeof import("node:path") = require("node:path");
  const now = new Date();
  const day = `${MONTHS[now.getMonth()]} ${String(now.getDate()).padStart(2)}`;
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(twoDigits).join(":");
  return Buffer.from(`<${USER_INFO}>${day} ${time} ${basename(process.argv0)}: ${text}`, "utf8");
}

let socket = -1;
let askAgainAt = 0;

/** Connects to the syslog. @returns whether there is one */
function connectSyslog(): boolean {
  if (socket >= 0) return true;
  if (performance.now() < askAgainAt) return false;
  askAgainAt = performance.now() + RETRY_MS;
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM | O_NONBLOCK | O_CLOEXEC, 0);
  if (fd < 0) return false;
  const address = Buffer.alloc(SOCKADDR_UN.size);
  address.writeUInt16LE(AF_UNIX, SOCKADDR_UN.family);
  address.write(SOCKET, SOCKADDR_UN.path);
  if (libc.connect(fd, address, address.byteLength) < 0) {
    libc.close(fd);
    return false;
  }
  socket = fd;
  askAgainAt = 0;
  return true;
}

/** Sends without waiting. @returns false when the syslog has gone, perhaps to come back */
function send(packet: Uint8Array): boolean {
  if (!connectSyslog()) return true;
  if (Number(libc.write(socket, packet, packet.byteLength)) >= 0) return true;
  if (errno() === EAGAIN) return true;
  libc.close(socket);
  socket = -1;
  return false;
}

export const logs: Logs = {
  standardError: descriptorFile(2),
  openFile(path) {
    const flags = O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_CLOEXEC;
    return descriptorFile(check(libc.open(cstring(path), flags, NEW_FILE_MODE), "open", path));
  },
  system(text) {
    const packet = syslogPacket(`info: ${text}`);
    if (!send(packet)) send(packet);
  },
};
