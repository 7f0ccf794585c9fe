/**
 * The local time zone, read anew each time: C libraries and JavaScript engines keep the zone they started with.
 *
 * The formats are those of tzfile(5) (RFC 9636) and of the variable TZ in tzset(3).
 */
import { contentOf } from "./whole-file.ts";

/** What a clock on the wall shows. */
export interface LocalTime {
  /** `CET`, `-03`. */
  readonly zone: string;
  /** Seconds east of UTC. */
  readonly offset: number;
}

const UTC: LocalTime = { zone: "UTC", offset: 0 };
const HOUR = 3600;
const DAY = 86400;

/** The header of a zone file and the sizes of what follows it. */
const HEADER = { magic: 0x545a6966, version: 4, utCount: 20, stdCount: 24, leapCount: 28, size: 44 } as const;
const COUNTS = { transitions: 32, types: 36, characters: 40 } as const;
/** A local time type: seconds east (signed), whether it is daylight saving time, where its name starts. */
const TYPE = { offset: 0, name: 5, size: 6 } as const;

/** One block of a zone file: version 1 has times of 4 bytes, the one that follows it in later versions of 8. */
function blockAt(file: Buffer, start: number, timeSize: 4 | 8) {
  const transitions = file.readUInt32BE(start + COUNTS.transitions);
  const types = file.readUInt32BE(start + COUNTS.types);
  const times = start + HEADER.size;
  const indices = times + transitions * timeSize;
  const typeTable = indices + transitions;
  const names = typeTable + types * TYPE.size;
  const end =
    names +
    file.readUInt32BE(start + COUNTS.characters) +
    file.readUInt32BE(start + HEADER.leapCount) * (timeSize + 4) +
    file.readUInt32BE(start + HEADER.stdCount) +
    file.readUInt32BE(start + HEADER.utCount);
  return { transitions, times, indices, typeTable, names, end };
}

/** Eight bytes as a number: times of zone files are exact in it. */
const wideTimeAt = (file: Buffer, at: number): number => file.readInt32BE(at) * 2 ** 32 + file.readUInt32BE(at + 4);

const textFrom = (file: Buffer, start: number, ending: number): string => {
  const end = file.indexOf(ending, start);
  return file.toString("latin1", start, end < 0 ? file.byteLength : end);
};

/**
 * Local time by a zone file.
 * @param seconds since 1970-01-01 UTC
 * @returns undefined when the bytes are no zone file
 */
export function localTimeOfFile(file: Buffer, seconds: number): LocalTime | undefined {
  if (file.byteLength < HEADER.size || file.readUInt32BE(0) !== HEADER.magic) return undefined;
  try {
    const isWide = file.readUInt8(HEADER.version) >= "2".charCodeAt(0);
    const narrow = blockAt(file, 0, 4);
    const block = isWide ? blockAt(file, narrow.end, 8) : narrow;
    const timeAt = (index: number): number =>
      isWide ? wideTimeAt(file, block.times + 8 * index) : file.readInt32BE(block.times + 4 * index);
    let low = 0;
    let high = block.transitions;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (timeAt(middle) <= seconds) low = middle + 1;
      else high = middle;
    }
    if (low === block.transitions && isWide) {
      const byRule = localTimeOfRule(textFrom(file, block.end + 1, 0x0a), seconds);
      if (byRule !== undefined) return byRule;
    }
    const type = block.typeTable + TYPE.size * (low === 0 ? 0 : file.readUInt8(block.indices + low - 1));
    return {
      zone: textFrom(file, block.names + file.readUInt8(type + TYPE.name), 0),
      offset: file.readInt32BE(type + TYPE.offset),
    };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

const NAME = "(<[+\\-\\w]+>|[A-Za-z]{3,})";
const TIME = "([+-]?\\d{1,3}(?::\\d{1,2}){0,2})";
const RULE = new RegExp(`^${NAME}${TIME}(?:${NAME}${TIME}?(?:,([^,]+),([^,]+))?)?$`);
const CHANGE = new RegExp(`^(?:M(\\d+)\\.(\\d)\\.(\\d)|(J?)(\\d+))(?:/${TIME})?$`);
/** What a zone with daylight saving time but without rules is taken to mean. */
const DEFAULT_START = "M3.2.0";
const DEFAULT_END = "M11.1.0";

/** `-1:30` is -5400. */
function secondsOf(time: string): number {
  const [hours = 0, minutes = 0, rest = 0] = time.replace(/^[+-]/, "").split(":").map(Number);
  const size = hours * HOUR + minutes * 60 + rest;
  return time.startsWith("-") ? -size : size;
}

/** Days from 1970 to `day` of `month` (1 to 12). */
const dayNumber = (year: number, month: number, day: number): number => Date.UTC(year, month - 1, day) / 1000 / DAY;

/** When the rule changes the clock in that year, in seconds since 1970 on the clock on the wall. */
function changeIn(year: number, rule: string): number | undefined {
  const [match, month, week, weekday, julian, day, time] = CHANGE.exec(rule) ?? [];
  if (match === undefined) return undefined;
  const timeOfDay = time === undefined ? 2 * HOUR : secondsOf(time);
  if (day !== undefined) {
    const isLeap = dayNumber(year, 3, 1) - dayNumber(year, 2, 1) === 29;
    const index = julian === "J" ? Number(day) - 1 + (isLeap && Number(day) >= 60 ? 1 : 0) : Number(day);
    return (dayNumber(year, 1, 1) + index) * DAY + timeOfDay;
  }
  const first = dayNumber(year, Number(month), 1);
  // 1970-01-01 was a Thursday, day 4 of the week.
  const firstWeekday = (((first + 4) % 7) + 7) % 7;
  let found = first + ((Number(weekday) - firstWeekday + 7) % 7) + 7 * (Number(week) - 1);
  // Week 5 is the last one that the month has.
  if (found >= dayNumber(year, Number(month) + 1, 1)) found -= 7;
  return found * DAY + timeOfDay;
}

/**
 * Local time by a rule like `CET-1CEST,M3.5.0,M10.5.0/3`, whose offsets count to the west.
 * @returns undefined when the text is no rule
 */
export function localTimeOfRule(rule: string, seconds: number): LocalTime | undefined {
  const [match, name = "", west = "", savingName, savingWest, start, end] = RULE.exec(rule) ?? [];
  if (match === undefined) return undefined;
  const plain = (quoted: string): string => quoted.replace(/[<>]/g, "");
  const standard = { zone: plain(name), offset: 0 - secondsOf(west) };
  if (savingName === undefined) return standard;
  const saving = {
    zone: plain(savingName),
    offset: savingWest === undefined ? standard.offset + HOUR : 0 - secondsOf(savingWest),
  };
  const year = new Date((seconds + standard.offset) * 1000).getUTCFullYear();
  const starts = changeIn(year, start ?? DEFAULT_START);
  const ends = changeIn(year, end ?? DEFAULT_END);
  if (starts === undefined || ends === undefined) return undefined;
  const from = starts - standard.offset;
  const to = ends - saving.offset;
  const isSaving = from < to ? seconds >= from && seconds < to : !(seconds >= to && seconds < from);
  return isSaving ? saving : standard;
}

function localTimeOfPath(path: string, seconds: number): LocalTime | undefined {
  const file = contentOf(path);
  return file === undefined ? undefined : localTimeOfFile(file, seconds);
}

/** Local time by the variable TZ, or by /etc/localtime when it is not set; UTC when neither makes sense. */
export function localTime(seconds: number, variable: string | undefined = process.env.TZ): LocalTime {
  if (variable === undefined) return localTimeOfPath("/etc/localtime", seconds) ?? UTC;
  const name = variable.replace(/^:/, "");
  if (name === "") return UTC;
  const path = name.startsWith("/") ? name : `${process.env.TZDIR ?? "/usr/share/zoneinfo"}/${name}`;
  return localTimeOfPath(path, seconds) ?? localTimeOfRule(name, seconds) ?? UTC;
}
