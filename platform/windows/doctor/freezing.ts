/** What a freeze needs: the shadow copy service, a provider that holds the freeze, and the hook. */
import type { Finding } from "../../../src/guest.ts";
import type { ServiceFacts } from "../services.ts";

export const SHADOW_COPY_SERVICE = "VSS";
/** The service in which QEMU's provider runs. */
export const PROVIDER_SERVICE = "QEMU Guest Agent VSS Provider";

export interface FreezeFacts {
  readonly shadowCopies: ServiceFacts | undefined;
  /** Whether the shadow copy service knows a provider that holds a freeze. */
  readonly isProviderRegistered: boolean;
  readonly provider: ServiceFacts | undefined;
  /** Whether its DLL lies beside this program. */
  readonly hasProviderFile: boolean;
  /** Where fixed volumes are mounted. */
  readonly volumes: readonly string[];
}

const disabled = (name: string): Finding => ({
  check: "freeze",
  verdict: "warn",
  text: `the service ${name} is disabled: each freeze fails`,
  fix: `sc.exe config "${name}" start= demand`,
});

export function examineFreeze(facts: FreezeFacts): Finding[] {
  const check = "freeze";
  const { shadowCopies, isProviderRegistered, provider, hasProviderFile, volumes } = facts;
  if (shadowCopies === undefined) {
    return [{ check, verdict: "warn", text: `there is no service ${SHADOW_COPY_SERVICE}: nothing can be frozen` }];
  }
  if (shadowCopies.start === "disabled") return [disabled(SHADOW_COPY_SERVICE)];
  if (!isProviderRegistered) {
    const text = "no VSS provider that holds a freeze is registered: each freeze fails";
    const fix = `${hasProviderFile ? "" : "put qga-vss.dll of QEMU's Windows package beside inguest.exe, then: "}inguest.exe -s vss-install`;
    return [{ check, verdict: "warn", text, fix }];
  }
  if (provider?.start === "disabled") return [disabled(PROVIDER_SERVICE)];
  if (volumes.length === 0) return [{ check, verdict: "warn", text: "no volume can be frozen: none is fixed" }];
  return [{ check, verdict: "ok", text: `can be frozen: ${volumes.join(", ")}` }];
}

/** What Windows starts by its name. */
const RUNNABLE = /\.(bat|cmd|exe|com)$/i;

/** @param hook undefined when none is set */
export function examineHook(hook: string | undefined, exists: (path: string) => boolean): Finding[] {
  const check = "hook";
  if (hook === undefined) return [{ check, verdict: "ok", text: "none is set" }];
  if (!exists(hook)) {
    const fix = "put it there, or unset fsfreeze-hook";
    return [{ check, verdict: "fail", text: `there is no ${hook}: each freeze fails`, fix }];
  }
  if (!RUNNABLE.test(hook)) {
    const fix = "name a .bat, .cmd or .exe file";
    return [{ check, verdict: "fail", text: `${hook} is not a program: each freeze fails`, fix }];
  }
  return [{ check, verdict: "ok", text: hook }];
}
