/** Whether the virtual machine has a way to its host, and the system a driver for it. */
import { basename } from "node:path";
import type { Finding, Patient } from "../../../src/guest.ts";
import { exists } from "../files.ts";
import { cstring, errno, errorText, libc } from "../libc.ts";
import { namesIn, readText } from "../sysfs.ts";
import { adviceFor } from "./advice.ts";
import { holdersOf, type Running } from "./running.ts";

/** VIRTIO_ID_CONSOLE of <linux/virtio_ids.h>: the device with the ports. */
const CONSOLE_DEVICE = 3;
const VIRTIO = "/sys/bus/virtio/devices";
const PORTS = "/sys/class/virtio-ports";
const LINKS = "/dev/virtio-ports";

const O_RDWR = 2;
const O_NOCTTY = 0o400;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const EBUSY = 16;
/** struct pollfd (poll(2)). */
const POLLFD = { size: 8, fd: 0, revents: 6 };
const POLLHUP = 0x10;

const wantsVirtio = ({ devices, knownPorts }: Patient): boolean =>
  knownPorts.length > 0 || devices.some((device) => device.includes("/virtio-ports/"));

/** @param root stands before `/sys`, for tests */
export function examineDriver(patient: Patient, root = ""): Finding[] {
  if (!wantsVirtio(patient)) return [];
  const controllers = (namesIn(`${root}${VIRTIO}`) ?? []).filter(
    (device) => Number(readText(`${root}${VIRTIO}/${device}/device`)) === CONSOLE_DEVICE,
  );
  const check = "driver";
  if (controllers.length === 0) {
    return [{ check, verdict: "fail", text: "the VM has no virtio-serial controller", fix: patient.channelAdvice }];
  }
  const bare = controllers.filter((device) => !exists(`${root}${VIRTIO}/${device}/driver`));
  if (bare.length === 0) return [{ check, verdict: "ok", text: "virtio_console drives the controller" }];
  return [
    {
      check,
      verdict: "fail",
      text: `no driver for the virtio-serial controller ${bare.join(", ")}`,
      fix: "modprobe virtio_console; echo virtio_console > /etc/modules-load.d/virtio.conf",
    },
  ];
}

/** The ports that the kernel has, by name, with their devices. */
function kernelPorts(root: string): ReadonlyMap<string, string> {
  return new Map(
    (namesIn(`${root}${PORTS}`) ?? []).flatMap((device) => {
      const name = readText(`${root}${PORTS}/${device}/name`);
      return name === undefined || name === "" ? [] : [[name, device] as const];
    }),
  );
}

/** A port or serial line that should be there. */
function examineDevice(path: string): Finding {
  const check = "port";
  const fd = libc.open(cstring(path), O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
  if (fd < 0) {
    const code = errno();
    return code === EBUSY
      ? examineHolders(path, holdersOf(path))
      : { check, verdict: "fail", text: `${path}: ${errorText(code)}` };
  }
  const pollfd = Buffer.alloc(POLLFD.size);
  pollfd.writeInt32LE(fd, POLLFD.fd);
  const isAlone = libc.poll(pollfd, 1, 0) > 0 && (pollfd.readUInt16LE(POLLFD.revents) & POLLHUP) !== 0;
  libc.close(fd);
  const host = isAlone ? "no host is connected now" : "a host is connected";
  return {
    check,
    verdict: "warn",
    text: `${path} can be opened (${host}), and no agent has it open`,
    fix: `start the agent: ${adviceFor().start}`,
  };
}

/** A port can be open only once. */
function examineHolders(path: string, holders: readonly Running[]): Finding {
  const check = "port";
  const who = holders.map(({ pid, command }) => `${command}, process ${pid}`).join("; ");
  if (holders.length === 0) {
    return { check, verdict: "warn", text: `${path} is open in a process that cannot be seen from here` };
  }
  if (holders.some(({ isOurs }) => isOurs)) return { check, verdict: "ok", text: `${path} is open in ${who}` };
  return { check, verdict: "fail", text: `${path} is open in ${who}`, fix: "inguest install --replace" };
}

/** @param root stands before `/sys` and `/dev`, for tests */
export function examinePorts(patient: Patient, root = ""): Finding[] {
  const { devices, knownPorts, channelAdvice } = patient;
  const check = "port";
  if (devices.length > 0) return devices.map((path) => examineNamed(path, patient, root));
  if (knownPorts.length === 0) return [{ check, verdict: "ok", text: "a socket is served, no port" }];
  const known = [...kernelPorts(root)].filter(([name]) => knownPorts.includes(name));
  if (known.length > 0) return known.map(([name]) => examineNamed(`${LINKS}/${name}`, patient, root));
  const others = [...kernelPorts(root).keys()];
  const text = `the VM has no port with a known name (${knownPorts.join(", ")})${others.length > 0 ? `, only ${others.join(", ")}` : ""}`;
  return [{ check, verdict: "fail", text, fix: channelAdvice }];
}

function examineNamed(path: string, { channelAdvice }: Patient, root: string): Finding {
  const check = "port";
  if (exists(`${root}${path}`)) return examineDevice(`${root}${path}`);
  const device = kernelPorts(root).get(basename(path));
  if (device === undefined) return { check, verdict: "fail", text: `there is no ${path}`, fix: channelAdvice };
  return {
    check,
    verdict: "fail",
    text: `the kernel has the port as /dev/${device}, but there is no ${path}`,
    fix: `udev or mdev makes it; by hand: mkdir -p ${LINKS}; ln -s ../${device} ${path}`,
  };
}
