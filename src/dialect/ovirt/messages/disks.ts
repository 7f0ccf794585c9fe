/** Filesystems and disks. */
import * as v from "valibot";
import { mountUsage } from "../../../capability/mount-usage.ts";
import { message, size, text } from "../message.ts";

export const disksUsage = message({
  name: "disks-usage",
  version: 0,
  summary:
    "Bytes of each mounted filesystem but those of other machines and of the types in `ignored_fs`; `mapping` tells the " +
    "device node of each disk by its serial number.",
  content: {
    disks: v.array(v.object({ path: text, fs: text, total: size, used: size })),
    mapping: v.record(text, v.object({ name: text })),
  },
  onRefresh: true,
  rate: "report_disk_usage",
  make: ({ guest, settings }) => ({
    disks: mountUsage(guest, settings.ignored_fs, !settings.ignore_zero_size_fs).map(
      ({ path, type, totalBytes, usedBytes }) => ({ path, fs: type, total: totalBytes, used: usedBytes }),
    ),
    mapping: Object.fromEntries(
      (guest.storage?.disks() ?? []).flatMap(({ name, partition, address }) =>
        partition || address?.serial === undefined ? [] : [[address.serial, { name }]],
      ),
    ),
  }),
});
