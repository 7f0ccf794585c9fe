/** Telling the service manager that the agent is ready: the protocol of sd_notify(3). */
import type { Supervisor } from "../../src/guest.ts";
import { cstring, libc } from "./libc.ts";
import { loop } from "./loop.ts";
import { SOCKADDR_UN } from "./ports.ts";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;

/** struct sockaddr_un, as long as the name: what follows would count as part of an abstract one. */
function unixAddress(name: string): Buffer {
  // A name that begins with @ is an abstract one, whose first byte is NUL (unix(7)).
  const path = name.startsWith("@") ? cstring(name).with(0, 0).subarray(0, -1) : cstring(name);
  const address = Buffer.alloc(SOCKADDR_UN.path + path.byteLength);
  address.writeUInt16LE(AF_UNIX, SOCKADDR_UN.family);
  address.set(path, SOCKADDR_UN.path);
  return address;
}

/** Nothing is lost when nobody listens. */
function notify(address: Uint8Array, message: string): void {
  const socket = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return;
  const bytes = Buffer.from(message);
  if (libc.connect(socket, address, address.byteLength) === 0) libc.write(socket, bytes, bytes.byteLength);
  libc.close(socket);
}

/** Milliseconds between signs of life: half of what the manager waits for (sd_watchdog_enabled(3)). */
function watchdogInterval(environment: NodeJS.ProcessEnv): number | undefined {
  const { WATCHDOG_USEC, WATCHDOG_PID } = environment;
  if (WATCHDOG_PID !== undefined && Number(WATCHDOG_PID) !== process.pid) return undefined;
  const microseconds = Number(WATCHDOG_USEC);
  return microseconds > 0 ? microseconds / 2000 : undefined;
}

/** Takes the variables out of the environment, which the programs that a host starts get too. */
export function takeSupervisor(): Supervisor {
  const address = unixAddress(process.env.NOTIFY_SOCKET ?? "");
  const interval = watchdogInterval(process.env);
  for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]) delete process.env[name];
  const giveSignOfLife = (milliseconds: number): void => {
    loop.after(milliseconds, () => {
      notify(address, "WATCHDOG=1");
      giveSignOfLife(milliseconds);
    });
  };
  return {
    ready() {
      notify(address, "READY=1");
      if (interval !== undefined) giveSignOfLife(interval);
    },
  };
}
