/** Network interfaces. */
import * as v from "valibot";
import { message, text, texts } from "../message.ts";

export const networkInterfaces = message({
  name: "network-interfaces",
  version: 0,
  summary: "Interfaces that are up, without loopback and those of `ignored_nics`, with their addresses.",
  content: { interfaces: v.array(v.object({ name: text, inet: texts, inet6: texts, hw: text })) },
  atStart: true,
  onRefresh: true,
  rate: "report_application_rate",
  make: ({ guest, settings }) => ({
    interfaces: guest.network
      .interfaces()
      .filter(
        ({ name, flags }) =>
          flags.includes("UP") && !flags.includes("LOOPBACK") && !settings.ignored_nics.includes(name),
      )
      .map(({ name, mac = "", addresses }) => {
        const ofFamily = (wanted: 4 | 6): string[] =>
          addresses.filter(({ family }) => family === wanted).map(({ address }) => address);
        return { name, inet: ofFamily(4), inet6: ofFamily(6), hw: mac };
      }),
  }),
});
