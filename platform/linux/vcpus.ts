/** Processors, switched by `/sys/devices/system/cpu/cpuN/online` (Documentation/core-api/cpu_hotplug.rst). */
import { readdirSync } from "node:fs";
import { SystemError, type Vcpu, type Vcpus } from "../../src/guest.ts";
import { check, cstring, ENOENT, errno, libc, systemError } from "./libc.ts";
import { readText } from "./sysfs.ts";

const O_RDONLY = 0;
const O_RDWR = 2;
const O_CLOEXEC = 0o2000000;
const ONLINE = "1".charCodeAt(0);
const OFFLINE = "0".charCodeAt(0);

/** @param root stands before `/sys`, for tests */
export function linuxVcpus(root = ""): Vcpus {
  const directory = `${root}/sys/devices/system/cpu`;
  return {
    list: () =>
      readdirSync(directory)
        .filter((name) => /^cpu\d+$/.test(name))
        .map((name) => vcpuOf(`${directory}/${name}`, Number(name.slice("cpu".length)))),
    set: (id, online) => setOnline(`${directory}/cpu${id}/`, online),
  };
}

/** A processor that cannot be switched has no `online`. */
function vcpuOf(directory: string, id: number): Vcpu {
  const state = readText(`${directory}/online`);
  return { id, online: state !== "0", canOffline: state !== undefined };
}

function setOnline(directory: string, online: boolean): boolean {
  libc.close(check(libc.open(cstring(directory), O_RDONLY | O_CLOEXEC, 0), "open", directory));
  const path = `${directory}/online`;
  const fd = libc.open(cstring(path), O_RDWR | O_CLOEXEC, 0);
  if (fd < 0) {
    const code = errno();
    if (code !== ENOENT) throw systemError("open", code, path);
    return online;
  }
  try {
    switchOnline(fd, path, online);
    return true;
  } finally {
    libc.close(fd);
  }
}

/** Writes only what is not so already. */
function switchOnline(fd: number, path: string, online: boolean): void {
  const state = Buffer.alloc(1);
  const count = check(Number(libc.pread(fd, state, state.byteLength, 0)), "pread", path);
  if (count === 0) throw new SystemError("pread", "EIO", "unexpected EOF", path);
  if ((state[0] !== OFFLINE) === online) return;
  state[0] = online ? ONLINE : OFFLINE;
  check(Number(libc.pwrite(fd, state, state.byteLength, 0)), "pwrite", path);
}
