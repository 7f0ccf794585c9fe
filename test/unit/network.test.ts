import { describe, expect, test } from "bun:test";
import { networkInterfaces } from "node:os";
import { ipv4Text, ipv6Text } from "../../platform/linux/inet.ts";
import { network, parseRoute4, parseRoute6 } from "../../platform/linux/network.ts";

describe("addresses as text", () => {
  test.each([
    ["00000000000000000000000000000000", "::"],
    ["00000000000000000000000000000001", "::1"],
    ["20010db8000000000000000000000001", "2001:db8::1"],
    ["20010db8000000010000000000000001", "2001:db8:0:1::1"],
    ["20010db8000000000001000000000001", "2001:db8::1:0:0:1"],
    ["20010db8000100020003000400050006", "2001:db8:1:2:3:4:5:6"],
    ["20010db8000000020003000400050006", "2001:db8:0:2:3:4:5:6"],
    ["ff020000000000000000000000000000", "ff02::"],
    ["0000000000000000000000000102ffff", "::1.2.255.255"],
    ["00000000000000000000000000010000", "::0.1.0.0"],
    ["00000000000000000000ffff01020304", "::ffff:1.2.3.4"],
    ["00000000000000000001ffff01020304", "::1:ffff:102:304"],
    ["00010000000000000000000000000000", "1::"],
    ["0001000000000000ffff000000000000", "1::ffff:0:0:0"],
    ["ABCDEF00000000000000000000000012", "abcd:ef00::12"],
  ])("%s is %s", (hex, text) => {
    expect(ipv6Text(Buffer.from(hex, "hex"), 0)).toBe(text);
    expect(ipv6Text(Buffer.from(`ffff${hex}`, "hex"), 2)).toBe(text);
  });

  test("version 4", () => {
    expect(ipv4Text(Uint8Array.of(9, 255, 0, 10, 1), 1)).toBe("255.0.10.1");
  });
});

describe("lines of /proc/net/route", () => {
  test("a route", () => {
    const line = "eth0\t0002A8C0\t0101A8C0\t0003\t1\t2\t100\t00FFFFFF\t1500\t10\t20            ";
    expect(parseRoute4(line)).toEqual({
      version: 4,
      iface: "eth0",
      destination: "192.168.2.0",
      gateway: "192.168.1.1",
      mask: "255.255.255.0",
      metric: 100,
      flags: 3,
      refcnt: 1,
      use: 2,
      mtu: 1500,
      window: 10,
      irtt: 20,
    });
  });

  test.each([
    "",
    "   ",
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
    "eth0\t0002A8C0\t0101A8C0\t0003\t1\t2\t100\t00FFFFFF\t1500\t10",
    "eth0\tnonsense\t0101A8C0\t0003\t1\t2\t100\t00FFFFFF\t1500\t10\t20",
  ])("no route: %j", (line) => {
    expect(parseRoute4(line)).toBeUndefined();
  });
});

describe("lines of /proc/net/ipv6_route", () => {
  const ZERO = "0".repeat(32);
  test("a route", () => {
    const line = `20010db8000000000000000000000000 40 ${ZERO} 00 fe800000000000000000000000000001 ffffffff 00000001 00000002 80200001     wlan0`;
    expect(parseRoute6(line)).toEqual({
      version: 6,
      iface: "wlan0",
      destination: "2001:db8::",
      destinationPrefix: 64,
      source: "::",
      sourcePrefix: 0,
      nextHop: "fe80::1",
      metric: 0xffffffff,
      flags: 0x80200001,
      refcnt: 1,
      use: 2,
    });
  });

  test.each([
    "",
    `${ZERO} 00 ${ZERO} 00 ${ZERO} 0 0 0 0`,
    `x${ZERO.slice(1)} 00 ${ZERO} 00 ${ZERO} 0 0 0 0 lo`,
    `${ZERO} 00 0 00 ${ZERO} 0 0 0 0 lo`,
  ])("no route: %j", (line) => {
    expect(parseRoute6(line)).toBeUndefined();
  });
});

test("the interfaces of this machine, against those that the runtime finds", () => {
  const found = network.interfaces();
  for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
    const ours = found.find((candidate) => candidate.name === name);
    expect(ours?.addresses.map(({ address, prefix }) => `${address}/${prefix}`)).toEqual(
      addresses.map(({ cidr }) => String(cidr).replace(/%.*\//, "/")),
    );
    const [first] = addresses;
    expect(ours?.mac ?? "00:00:00:00:00:00").toBe(first?.mac ?? "");
  }
  expect(found.find(({ name }) => name === "lo")?.flags).toEqual(["LOOPBACK", "UP", "LOWER_UP"]);
});
