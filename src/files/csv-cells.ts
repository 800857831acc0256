/**
 * Where the cells of a CSV record lie: one pass over its bytes, quotes as in RFC 4180.
 *
 *     0.031, "walking, fast" ,"5"" pipe"\r\n
 *     ^first  ^first          ^first, escaped
 *
 * Laxer than the RFC, as files are: blanks around a cell and around its quotes are no part of it, and a quote inside
 * a cell that does not begin with one is a character like any other.
 */

/** More columns than this are no table of sensors, or another separator. */
export const CELLS_MAX = 4096;

/** What `scan` returns when the record's end is still to come. */
export const INCOMPLETE = -1;

/** Why a record is none. */
export const FAULT = {
  none: 0,
  /** More cells than CELLS_MAX. */
  tooManyCells: 1,
  /** Text between a closing quote and the end of its cell. */
  textAfterQuote: 2,
  /** A quote that is never closed; or not before the record is too long. */
  unclosedQuote: 3,
  /** Longer than a record may be (csv-records.ts). */
  tooLong: 4,
} as const;

export type Fault = (typeof FAULT)[keyof typeof FAULT];

const NEWLINE = 0x0a;
const SPACE = 0x20;
const QUOTE = 0x22;

export class Cells {
  /** Cells of the record scanned last. */
  count = 0;
  /** Where each begins and ends, blanks and quotes left out. */
  readonly first = new Int32Array(CELLS_MAX);
  readonly end = new Int32Array(CELLS_MAX);
  /** 1: doubled quotes stand in it, see `unescape`. */
  readonly escaped = new Uint8Array(CELLS_MAX);
  fault: Fault = FAULT.none;
  /** Line ends inside its quotes. */
  newlines = 0;
  /** Between cells. */
  separator: number;

  constructor(separator: number) {
    this.separator = separator;
  }

  /**
   * Scans the record at bytes[start..end).
   * @param isLast nothing comes after `end`, so that it ends the record
   * @returns where the next record begins, or INCOMPLETE
   */
  scan(bytes: Uint8Array, start: number, end: number, isLast: boolean): number {
    this.count = 0;
    this.fault = FAULT.none;
    this.newlines = 0;
    let at = start;
    for (;;) {
      while (at < end && isBlank(bytes[at]) && bytes[at] !== this.separator) at += 1;
      if (this.count === CELLS_MAX) {
        this.fault = FAULT.tooManyCells;
        at = endOfLine(bytes, at, end);
      } else {
        const quoted = at < end && bytes[at] === QUOTE;
        at = quoted ? this.#scanQuoted(bytes, at + 1, end, isLast) : this.#scanBare(bytes, at, end);
      }
      if (at === INCOMPLETE) return INCOMPLETE;
      if (at >= end) return isLast ? end : INCOMPLETE;
      if (bytes[at] === NEWLINE) return at + 1;
      at += 1;
    }
  }

  /** Makes one quote of every two in the cell, in place. The record must be whole, for it cannot be scanned again. */
  unescape(bytes: Uint8Array, cell: number): void {
    if (this.escaped[cell] === 0) return;
    this.escaped[cell] = 0;
    let to = this.first[cell];
    for (let at = this.first[cell]; at < this.end[cell]; at++) {
      bytes[to++] = bytes[at];
      if (bytes[at] === QUOTE) at += 1;
    }
    this.end[cell] = to;
  }

  /** @returns the index of what ends the cell, or `end` */
  #scanBare(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && bytes[at] !== this.separator && bytes[at] !== NEWLINE) at += 1;
    let last = at;
    while (last > start && isBlank(bytes[last - 1])) last -= 1;
    this.#add(start, last, 0);
    return at;
  }

  /** @returns the index of what ends the cell, `end`, or INCOMPLETE */
  #scanQuoted(bytes: Uint8Array, start: number, end: number, isLast: boolean): number {
    let escaped = 0;
    let at = start;
    for (; ; at++) {
      while (at < end && bytes[at] !== QUOTE) {
        if (bytes[at] === NEWLINE) this.newlines += 1;
        at += 1;
      }
      if (at + 1 >= end && !isLast) return INCOMPLETE;
      if (at >= end) {
        this.fault = FAULT.unclosedQuote;
        return end;
      }
      if (at + 1 >= end || bytes[at + 1] !== QUOTE) break;
      escaped = 1;
      at += 1;
    }
    this.#add(start, at, escaped);
    at += 1;
    while (at < end && isBlank(bytes[at]) && bytes[at] !== this.separator) at += 1;
    if (at >= end || bytes[at] === this.separator || bytes[at] === NEWLINE) return at;
    this.fault = FAULT.textAfterQuote;
    return endOfLine(bytes, at, end);
  }

  #add(first: number, end: number, escaped: number): void {
    this.first[this.count] = first;
    this.end[this.count] = end;
    this.escaped[this.count] = escaped;
    this.count += 1;
  }
}

/** A carriage return among them: it belongs to the line end. */
function isBlank(byte: number): boolean {
  return byte <= SPACE && byte !== NEWLINE;
}

/** @returns the index of the next newline, or `end` */
export function endOfLine(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] !== NEWLINE) at += 1;
  return at;
}
