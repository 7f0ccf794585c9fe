/** /etc/ovirt-guest-agent.conf, in the forms that ConfigParser takes. */
import { expect, test } from "bun:test";
import { parseIni, readSettings } from "../../src/dialect/ovirt/settings.ts";

const usual = readSettings("", () => {});

test("the defaults", () => {
  expect(usual).toMatchObject({
    heart_beat_rate: 5,
    report_user_rate: 10,
    report_num_cpu_rate: 60,
    report_application_rate: 120,
    report_disk_usage: 300,
    ignore_zero_size_fs: true,
    ignored_nics: ["docker0"],
  });
  expect(usual.applications_list).toContain("qemu-guest-agent");
  expect(usual.ignored_fs).toContain("tmpfs");
});

test("the file as packages install it changes nothing", () => {
  const text =
    "#\n# ovirt-guest-agent.conf\n#\n\n[general]\n\n# heart_beat_rate = 7\n\n[virtio]\n# device = /x\n\n#[loggers]\n";
  expect(readSettings(text, () => {})).toEqual(usual);
});

test("keys of any case, colons, comments, continued lines, other sections", () => {
  const text = [
    "; a comment",
    "[general]",
    "Heart_Beat_Rate: 7 ; seconds",
    "applications_list = kernel",
    "  inguest   cloud-init",
    "ignored_fs=",
    "IGNORE_ZERO_SIZE_FS = No",
    "unknown = 1",
    "[virtio]",
    "device_prefix = /dev/virtio-ports/",
    "[handler_logfile]",
    "args=('/var/log/x', 'a+', 100*1024, 5)",
    "heart_beat_rate = 99",
  ].join("\r\n");
  expect(readSettings(text, () => {})).toEqual({
    ...usual,
    heart_beat_rate: 7,
    applications_list: ["kernel", "inguest", "cloud-init"],
    ignored_fs: [],
    ignore_zero_size_fs: false,
    device_prefix: "/dev/virtio-ports/",
  });
});

test.each(["0", "-1", "soon", "", "99999999999"])("a rate of %j is told and not used", (value) => {
  const complaints: string[] = [];
  expect(readSettings(`[general]\nheart_beat_rate=${value}\n`, (text) => complaints.push(text))).toEqual(usual);
  expect(complaints).toHaveLength(1);
});

test("garbage is no entry", () => {
  expect(parseIni("\u0000\xff\n=\n[\n[]\nx\n[a]\n = y\nk = v")).toEqual([{ section: "a", key: "k", value: "v" }]);
});
