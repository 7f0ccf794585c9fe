/**
 * Which calls of a host are answered: one table for all dialects.
 *
 * `block-rpcs` refuses a call by its name, `allow-rpcs` refuses all that it does not name, and what the table below
 * keeps off by default is switched on by `enable-rpcs`.
 */
import type { Config } from "./config/config.ts";
import type { DialectName } from "./config/options.ts";

/** Where a call came from. */
export interface Origin {
  readonly dialect: DialectName;
  /** The name of the virtio port; undefined for other ways to a host. */
  readonly portName?: string | undefined;
}

interface Guarded {
  /** Why it is not for everybody. */
  readonly danger: string;
  /** Whether it is on for this host when nothing was said. */
  readonly byDefault: (origin: Origin) => boolean;
}

/** A port of this name was attached by somebody who wants just these calls. */
const EAYUN_PORT = "com.eayun.eayunstack.0";
const fromEayunPort = ({ portName }: Origin): boolean => portName === EAYUN_PORT;
const never = (): boolean => false;

/** Calls that are not on for every host. */
export const GUARDED: Readonly<Record<string, Guarded>> = {
  execute_command: { danger: "runs a shell as root", byDefault: fromEayunPort },
  execute_script: { danger: "runs a script as root", byDefault: fromEayunPort },
  "guest-user-check": { danger: "runs a shell as root", byDefault: never },
  "change-hostname": { danger: "changes who the guest is", byDefault: never },
  "change-password": { danger: "changes root's password", byDefault: never },
  login: { danger: "carries a password", byDefault: never },
};

const guardOf = (call: string): Guarded | undefined => (Object.hasOwn(GUARDED, call) ? GUARDED[call] : undefined);

/** Why a call is not answered; undefined when it is. */
export function refusal(
  call: string,
  { blockRpcs, allowRpcs, enableRpcs }: Pick<Config, "blockRpcs" | "allowRpcs" | "enableRpcs">,
  origin: Origin,
): string | undefined {
  if (blockRpcs.includes(call)) return "blocked by block-rpcs";
  if (allowRpcs.length > 0) return allowRpcs.includes(call) ? undefined : "not in allow-rpcs";
  const guard = guardOf(call);
  if (guard === undefined || enableRpcs.includes(call) || guard.byDefault(origin)) return undefined;
  return `off unless enable-rpcs names it: it ${guard.danger}`;
}
