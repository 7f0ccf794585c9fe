/** Debian packages that the tests use, by what for: all of them are installed at once before the first test. */
export const TEST_PACKAGES: readonly string[] = [
  // The real agent of this machine's release, and what its facts are compared with
  ...["qemu-guest-agent", "iproute2", "procps", "tzdata", "util-linux"],
  // Virtual machines and what runs in them
  ...[
    "qemu-system-x86",
    "qemu-utils",
    "busybox-static",
    "kmod",
    "xz-utils",
    "libvirt-daemon-system",
    "libvirt-clients",
  ],
  // Filesystems and disks
  ...["e2fsprogs", "xfsprogs", "btrfs-progs", "dmsetup"],
  // Systems for a chroot or a disk, and seeds for cloud-init
  ...["mmdebstrap", "debian-archive-keyring", "xorriso"],
  // Packages and units
  ...["rpm", "systemd"],
  // Executables for arm64
  ...["qemu-user-static", "libc6-arm64-cross"],
  // Scripts of sh
  "shellcheck",
  // Looking at processes from outside, and talking to serial lines
  ...["strace", "socat"],
  // Windows executables
  ...["wine64", "gcc-mingw-w64-x86-64"],
  // Shells that complete our words, and readers of manual pages
  ...["bash", "zsh", "fish", "man-db", "groff", "mandoc"],
];
