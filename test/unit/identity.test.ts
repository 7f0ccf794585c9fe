import { describe, expect, test } from "bun:test";
import { hostname, release } from "node:os";
import { canonicalName, identity } from "../../platform/linux/identity.ts";

describe("names of hosts(5)", () => {
  test.each([
    ["127.0.1.1 web.example.org web\n", "web.example.org"],
    ["127.0.0.1 localhost\n10.0.0.1\tweb.example.org\tweb # web.other\n", "web.example.org"],
    ["127.0.0.1 web localhost\n", undefined],
    ["127.0.0.1 localhost localhost.localdomain web\n10.0.0.1 web.a.b web\n", "web.a.b"],
    ["#10.0.0.1 web.example.org web\n", undefined],
    ["10.0.0.1 webs.example.org webs\n", undefined],
    ["", undefined],
  ])("%j", (hosts, name) => {
    expect(canonicalName(hosts, "web")).toBe(name!);
  });
});

test("this machine", () => {
  expect(identity.hostName()).toBe(hostname());
  expect(identity.osInfo().kernelRelease).toBe(release());
  expect(identity.fqdn().split(".")[0]).toBe(hostname().split(".")[0]!);
});
