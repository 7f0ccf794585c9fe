/** Processors. */
import * as v from "valibot";
import { setVcpus } from "../../../capability/vcpus.ts";
import { RequestError } from "../../../errors.ts";
import { ovirtCommand } from "../command.ts";
import { numberOfCpus } from "../messages/vcpus.ts";

const count = v.pipe(
  v.union([v.number(), v.pipe(v.string(), v.trim(), v.regex(/^\d{1,9}$/), v.transform(Number))]),
  v.integer(),
  v.minValue(1),
);

export const setNumberOfCpus = ovirtCommand({
  name: "set-number-of-cpus",
  summary:
    "Brings the first `count` processors online and takes the others offline, as far as they can be; number-of-cpus " +
    "follows.",
  arguments: { count },
  run({ count: wanted }, conversation) {
    const { vcpus } = conversation.agent.guest;
    if (vcpus?.set === undefined) throw new RequestError("processors cannot be switched here");
    const inOrder = [...vcpus.list()].sort((left, right) => left.id - right.id);
    const changes = inOrder
      .map(({ id, online, canOffline }, index) => ({ id, online, canOffline, wanted: index < wanted }))
      .filter((vcpu) => vcpu.online !== vcpu.wanted && (vcpu.wanted || vcpu.canOffline))
      .map((vcpu) => ({ id: vcpu.id, online: vcpu.wanted }));
    if (changes.length > 0) setVcpus(vcpus.set, changes);
    conversation.say(numberOfCpus, undefined);
  },
});
