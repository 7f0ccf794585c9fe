/** Serial lines (termios(3)). */
import { check, libc } from "./libc.ts";

/** struct termios as the C library has it: four flag words, c_line, 32 control characters, two speeds. */
export const TERMIOS = { size: 60, iflag: 0, oflag: 4, cflag: 8, lflag: 12, cc: 17 };

const VTIME = 5;
const VMIN = 6;
const B115200 = 0o10002;
const CSIZE = 0o60;
const CS8 = 0o60;
const CREAD = 0o200;
const CLOCAL = 0o4000;
const PARENB = 0o400;
const TCSANOW = 0;
const TCIFLUSH = 0;

/** Makes a line carry bytes as they are: 115200 baud, 8 bits, no echo, no translation. What waits unread is dropped. */
export function makeRaw(fd: number): void {
  const settings = Buffer.alloc(TERMIOS.size);
  check(libc.tcgetattr(fd, settings), "tcgetattr");
  settings.writeUInt32LE(0, TERMIOS.iflag);
  settings.writeUInt32LE(0, TERMIOS.oflag);
  settings.writeUInt32LE(0, TERMIOS.lflag);
  const control = settings.readUInt32LE(TERMIOS.cflag);
  settings.writeUInt32LE(((control & ~(CSIZE | PARENB)) | CS8 | CREAD | CLOCAL) >>> 0, TERMIOS.cflag);
  settings[TERMIOS.cc + VMIN] = 1;
  settings[TERMIOS.cc + VTIME] = 0;
  check(libc.cfsetspeed(settings, B115200), "cfsetspeed");
  check(libc.tcflush(fd, TCIFLUSH), "tcflush");
  check(libc.tcsetattr(fd, TCSANOW, settings), "tcsetattr");
}
