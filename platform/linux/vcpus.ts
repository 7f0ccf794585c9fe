/** Processors, switched by `/sys/devices/system/cpu/cpuN/online` (Documentation/core-api/cpu_hotplug.rst). */
import { SystemError, type Vcpu, type Vcpus } from "../../src/guest.ts";
import { check, cstring, ENOENT, errno, libc, systemError } from "./libc.ts";
import { listNames, openDirectory, readBytes } from "./sysfs.ts";

const O_RDWR = 2;
const O_CLOEXEC = 0o2000000;
const ONLINE = "1".charCodeAt(0);
const OFFLINE = "0".charCodeAt(0);

/** @param root stands before `/sys`, for tests */
export function linuxVcpus(root = ""): Vcpus {
  const directory = `${root}/sys/devices/system/cpu`;
  return {
    list: () => listVcpus(directory),
    set: (id, online) => setOnline(`${directory}/cpu${id}/`, online),
  };
}

function listVcpus(directory: string): Vcpu[] {
  const names = listNames(directory).filter((name) => /^cpu\d+$/.test(name));
  const fd = openDirectory(directory);
  try {
    return names.map((name) => vcpuOf(fd, name));
  } finally {
    libc.close(fd);
  }
}

/** A processor that cannot be switched has no `online`. */
function vcpuOf(directory: number, name: string): Vcpu {
  const state = readBytes(`${name}/online`, directory);
  const id = Number(name.slice("cpu".length));
  return { id, online: state?.[0] !== OFFLINE, canOffline: state !== undefined };
}

function setOnline(directory: string, online: boolean): boolean {
  libc.close(openDirectory(directory));
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
