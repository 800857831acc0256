/**
 * What a cell of a CSV file says: a number, a time, or that the value is missing. Straight from the bytes; what was
 * read goes to a slot, since a returned double would be boxed.
 */
import { parsed, scanNumber } from '../serial/number.ts';

/** How a cell was understood. */
export const CELL = { value: 1, missing: 2, other: 0 } as const;
export type Cell = (typeof CELL)[keyof typeof CELL];

/** What stands for a value that is not there, in any case; so does an empty cell. */
const MISSING_WORDS = ['?', 'na', 'nan', 'n/a', 'null'].map((word) => new TextEncoder().encode(word));
const MISSING_BYTES_MAX = 4;

const LOWER_CASE = 0x20;

/** The number or time read last. */
export const cellValue = new Float64Array(1);

/**
 * Reads bytes[first..end) as a number that float32 can hold; it goes to cellValue[0], NaN if it is missing.
 * @param mark a second decimal mark beside the point, or the point again
 */
export function readNumber(bytes: Uint8Array, first: number, end: number, mark: number): Cell {
  // "nan" is a number to the parser, and missing to us.
  if (first < end && scanNumber(bytes, first, end, mark) === end && parsed[0] === parsed[0]) {
    cellValue[0] = parsed[0];
    return CELL.value;
  }
  cellValue[0] = NaN;
  return isMissing(bytes, first, end) ? CELL.missing : CELL.other;
}

export function isMissing(bytes: Uint8Array, first: number, end: number): boolean {
  const length = end - first;
  if (length === 0) return true;
  if (length > MISSING_BYTES_MAX) return false;
  for (let word = 0; word < MISSING_WORDS.length; word++) {
    if (isWord(MISSING_WORDS[word], bytes, first, length)) return true;
  }
  return false;
}

function isWord(word: Uint8Array, bytes: Uint8Array, first: number, length: number): boolean {
  if (word.length !== length) return false;
  for (let i = 0; i < length; i++) {
    const byte = bytes[first + i];
    if (byte !== word[i] && (byte | LOWER_CASE) !== word[i]) return false;
  }
  return true;
}

/**
 * Reads bytes[first..end) as ISO 8601, as in 2026-11-25T15:34:27.250Z; without a zone it is taken as UTC, since only
 * distances count. The microseconds since 1970 go to cellValue[0], NaN if it is missing.
 */
export function readIsoTime(bytes: Uint8Array, first: number, end: number): Cell {
  if (scanDate(bytes, first, end) && scanTimeOfDay(bytes, first + DATE_BYTES, end)) return CELL.value;
  cellValue[0] = NaN;
  return isMissing(bytes, first, end) ? CELL.missing : CELL.other;
}

const DIGIT_0 = 0x30;
const DASH = 0x2d;
const SLASH = 0x2f;
const COLON = 0x3a;
const POINT = 0x2e;
const COMMA = 0x2c;
const PLUS = 0x2b;
const SPACE = 0x20;
const LETTER_T = 0x74;
const LETTER_Z = 0x7a;

const DATE_BYTES = 10;
const DAY_US = 86_400_000_000;
const MINUTE_US = 60_000_000;
const SECOND_US = 1_000_000;
const DAYS_BEFORE_1970 = 719_468;

/** @returns the number of `count` digits from `at` on, or -1 */
function digits(bytes: Uint8Array, at: number, count: number, end: number): number {
  if (at + count > end) return -1;
  let value = 0;
  for (let i = at; i < at + count; i++) {
    const digit = bytes[i] - DIGIT_0;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** YYYY-MM-DD or YYYY/MM/DD: its midnight goes to cellValue[0]. */
function scanDate(bytes: Uint8Array, first: number, end: number): boolean {
  const year = digits(bytes, first, 4, end);
  const month = digits(bytes, first + 5, 2, end);
  const day = digits(bytes, first + 8, 2, end);
  if (year < 0 || month < 1 || month > 12 || day < 1 || day > 31) return false;
  const mark = bytes[first + 4];
  if ((mark !== DASH && mark !== SLASH) || bytes[first + 7] !== mark) return false;
  cellValue[0] = daysSince1970(year, month, day) * DAY_US;
  return true;
}

/** Of the Gregorian calendar: years that begin in March, so that the leap day is the last. */
function daysSince1970(year: number, month: number, day: number): number {
  const shifted = month > 2 ? year : year - 1;
  const monthFromMarch = (month + 9) % 12;
  const leapDays = Math.floor(shifted / 4) - Math.floor(shifted / 100) + Math.floor(shifted / 400);
  return 365 * shifted + leapDays + Math.floor((153 * monthFromMarch + 2) / 5) + day - 1 - DAYS_BEFORE_1970;
}

/** [T| ]hh:mm[:ss[.fraction]][zone], or nothing: adds to cellValue[0]. */
function scanTimeOfDay(bytes: Uint8Array, start: number, end: number): boolean {
  if (start === end) return true;
  if (bytes[start] !== SPACE && (bytes[start] | LOWER_CASE) !== LETTER_T) return false;
  const hour = digits(bytes, start + 1, 2, end);
  const minute = digits(bytes, start + 4, 2, end);
  if (hour < 0 || hour > 24 || minute < 0 || minute > 59 || bytes[start + 3] !== COLON) return false;
  cellValue[0] += (hour * 60 + minute) * MINUTE_US;
  const at = start + 6;
  if (at >= end || bytes[at] !== COLON) return scanZone(bytes, at, end);
  const second = digits(bytes, at + 1, 2, end);
  if (second < 0 || second > 60) return false;
  cellValue[0] += second * SECOND_US;
  return scanFraction(bytes, at + 3, end);
}

/** Digits beyond microseconds are dropped. */
function scanFraction(bytes: Uint8Array, start: number, end: number): boolean {
  if (start >= end || (bytes[start] !== POINT && bytes[start] !== COMMA)) return scanZone(bytes, start, end);
  let at = start + 1;
  for (let unitUs = SECOND_US / 10; at < end; at++) {
    const digit = bytes[at] - DIGIT_0;
    if (digit < 0 || digit > 9) break;
    cellValue[0] += digit * unitUs;
    unitUs = Math.floor(unitUs / 10);
  }
  return at > start + 1 && scanZone(bytes, at, end);
}

/** Z, +hh, +hhmm, +hh:mm, the same with a minus, or nothing. */
function scanZone(bytes: Uint8Array, start: number, end: number): boolean {
  if (start === end) return true;
  if ((bytes[start] | LOWER_CASE) === LETTER_Z) return start + 1 === end;
  if (bytes[start] !== PLUS && bytes[start] !== DASH) return false;
  const hours = digits(bytes, start + 1, 2, end);
  let at = start + 3;
  let minutes = 0;
  if (at < end) {
    if (bytes[at] === COLON) at += 1;
    minutes = digits(bytes, at, 2, end);
    at += 2;
  }
  if (hours < 0 || hours > 14 || minutes < 0 || minutes > 59 || at !== end) return false;
  const aheadUs = (hours * 60 + minutes) * MINUTE_US;
  cellValue[0] += bytes[start] === PLUS ? -aheadUs : aheadUs;
  return true;
}
