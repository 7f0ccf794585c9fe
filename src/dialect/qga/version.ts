/** The release of the QEMU guest agent whose commands and replies this one has. */
export const QGA_VERSION = "10.0.13";
