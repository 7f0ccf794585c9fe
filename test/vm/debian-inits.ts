/** The init systems of Debian: what each consists of, and how it starts the test's shell. */

export interface DebianInit {
  readonly packages: readonly string[];
  /**
   * Commands for sh(1) in the system's directory: the shell is started, and what would only take time is not.
   * `$FILES` is the folder with the test's own files.
   */
  readonly setUp: string;
}

const WITH_INITTAB = `
sed -i /getty/d etc/inittab
echo lab:2345:once:/lab/start-shell >>etc/inittab
`;

export type DebianInitName = "systemd" | "sysv" | "openrc" | "runit";

export const DEBIAN_INITS: Readonly<Record<DebianInitName, DebianInit>> = {
  systemd: {
    packages: ["systemd-sysv", "dbus"],
    setUp: `
cd etc/systemd/system
mkdir -p sysinit.target.wants
install -m644 "$FILES/lab-shell.service" .
ln -s ../lab-shell.service sysinit.target.wants
for timer in apt-daily apt-daily-upgrade dpkg-db-backup e2scrub_all; do
  ln -sf /dev/null $timer.timer
done
`,
  },
  sysv: { packages: ["sysvinit-core", "sysv-rc"], setUp: WITH_INITTAB },
  // Debian's OpenRC is started by the init of SysV, and starts the scripts of SysV too.
  openrc: { packages: ["sysvinit-core", "openrc"], setUp: WITH_INITTAB },
  runit: {
    packages: ["runit-init"],
    setUp: `
rm etc/runit/runsvdir/*/getty-*
mkdir etc/sv/lab
ln -s /lab/start-shell etc/sv/lab/run
ln -s /run/runit/supervise/lab etc/sv/lab/supervise
ln -s /etc/sv/lab etc/runit/runsvdir/default
`,
  },
};
