/** Where qemu-ga's Linux packages have their files, so that an exchange of the executable changes nothing. */
import type { DefaultPaths } from "../../src/guest.ts";

export const paths: DefaultPaths = {
  configFile: "/etc/qemu/qemu-ga.conf",
  pidfile: "/var/run/qemu-ga.pid",
  statedir: "/var/run",
  fsfreezeHook: "/etc/qemu/fsfreeze-hook",
  settingsFiles: [
    "/etc/default/qemu-guest-agent",
    "/etc/sysconfig/qemu-ga",
    "/etc/conf.d/qemu-guest-agent",
    "/etc/sv/qemu-ga/conf",
  ],
  noFile: "/dev/null",
  ovirtConfigFile: "/etc/ovirt-guest-agent.conf",
  ovirtHooks: "/etc/ovirt-guest-agent/hooks.d",
};
