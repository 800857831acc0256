/**
 * Teleplot's lines, one value each:
 *
 *     >temperature:1712345:24.61§°C|np      >name[,widget]:[ms:]value[§unit][|flags]
 *
 * Several lines are a row. It is given when all columns have come; or, with the others missing, when the first column
 * of the config or any name comes again. So the first column should be the one that the board prints first: a row
 * then begins with it, and a lost line never shifts the values of the rows behind it.
 * The row's time is that of the line that completed it. If the config says that the board's clock is the "stamp", it is
 * the stamp of the row's last line, and a line without one is dropped; else stamps are passed over.
 */
import { LABEL_REFUSED } from '../labels.ts';
import { type LineParser, OUTCOME, type Outcome } from '../outcome.ts';
import { NO_NUMBER, POINT, parsed, scanNumber } from '../number.ts';
import type { PrintedClock } from '../printed-clock.ts';
import { NO_LABEL } from '../../stream/ring.ts';
import {
  ColumnIndex,
  LABEL_SLOT,
  type NamedColumns,
  RowParser,
  type RowTarget,
  Seen,
  UNKNOWN_SLOT,
  skipBlanks,
  skipBlanksBack,
} from './row.ts';

const GREATER = 0x3e;
const COLON = 0x3a;
const COMMA = 0x2c;
const PIPE = 0x7c;
/** The section sign, in UTF-8 and in Latin-1. */
const SECTION_LEAD = 0xc2;
const SECTION = 0xa7;
const LETTER_X = 0x78;
const DIGIT_0 = 0x30;

export class TeleplotParser extends RowParser implements LineParser {
  readonly #columns: ColumnIndex;
  readonly #columnCount: number;
  /** Slot of the first column of the config: a row begins with it. */
  readonly #firstSlot: number;
  readonly #seen: Seen;
  /** Of the line under way; the row's own is taken over once it is clear to which row the line belongs. */
  readonly #stamp = new Float64Array(1);
  #label = NO_LABEL;
  #numbers = 0;

  constructor(named: NamedColumns, target: RowTarget) {
    const index = new ColumnIndex(named);
    super(index.numbers, target, ['otherText', 'unknownName']);
    this.#columns = index;
    this.#columnCount = named.columns.length;
    this.#firstSlot = named.columns[0] === named.label ? LABEL_SLOT : 0;
    this.#seen = new Seen(index.numbers);
    this.#beginRow();
  }

  parse(bytes: Uint8Array, start: number, end: number): Outcome {
    if (bytes[start] !== GREATER) return OUTCOME.otherText;
    const nameEnd = findNameEnd(bytes, start, end);
    const colon = find(bytes, nameEnd, end, COLON);
    if (colon === end || nameEnd === start + 1) return OUTCOME.otherText;
    const slot = this.#columns.slotOf(bytes, start + 1, skipBlanksBack(bytes, start + 1, nameEnd));
    if (slot === UNKNOWN_SLOT) return OUTCOME.unknownName;
    let at = colon + 1;
    if (this.clock !== undefined) {
      at = this.#readStamp(bytes, at, end, this.clock);
      if (at === NO_NUMBER) return OUTCOME.badTime;
    }
    // The usual case: a number and nothing else.
    const plain = slot >= 0 && scanNumber(bytes, at, end, POINT) === end;
    if (plain) return this.#giveNumber(slot);
    const flags = find(bytes, at, end, PIPE);
    if (flags < end && bytes[flags + 1] === LETTER_X) return OUTCOME.otherText; // |xy: a point of a plane
    at = skipBlanks(bytes, at, flags);
    const first = this.clock === undefined ? skipStamp(bytes, at, flags) : at;
    const last = skipBlanksBack(bytes, first, findSection(bytes, first, flags));
    return slot === LABEL_SLOT
      ? this.#takeLabel(bytes, first, last)
      : this.#takeNumber(bytes, first, last, slot);
  }

  /** @returns the index behind the stamp and its colon, or NO_NUMBER */
  #readStamp(bytes: Uint8Array, start: number, end: number, clock: PrintedClock): number {
    const at = scanNumber(bytes, skipBlanks(bytes, start, end), end, POINT);
    if (at === NO_NUMBER || at >= end || bytes[at] !== COLON || !clock.reads(parsed)) return NO_NUMBER;
    this.#stamp[0] = parsed[0];
    return at + 1;
  }

  #takeNumber(bytes: Uint8Array, first: number, last: number, slot: number): Outcome {
    return scanNumber(bytes, first, last, POINT) === last ? this.#giveNumber(slot) : OUTCOME.notANumber;
  }

  /** Takes the number that was parsed last. */
  #giveNumber(slot: number): Outcome {
    this.#makeRoom(slot);
    this.values[slot] = parsed[0];
    this.#numbers += 1;
    this.#endRowIfComplete();
    return OUTCOME.row;
  }

  #takeLabel(bytes: Uint8Array, first: number, last: number): Outcome {
    const label = first === last ? NO_LABEL : this.labels.classOf(bytes, first, last);
    if (label === LABEL_REFUSED) return OUTCOME.unknownLabel;
    this.#makeRoom(LABEL_SLOT);
    this.#label = label;
    this.#endRowIfComplete();
    return OUTCOME.row;
  }

  /** Ends the row under way if the value of this slot begins another. */
  #makeRoom(slot: number): void {
    if (this.#seen.count > 0 && (slot === this.#firstSlot || this.#seen.has(slot))) this.#endRow();
    this.#seen.add(slot);
    this.printed[0] = this.#stamp[0];
  }

  #endRowIfComplete(): void {
    if (this.#seen.count === this.#columnCount) this.#endRow();
  }

  #endRow(): void {
    if (this.#numbers > 0) this.give(this.#label); // a label alone is no row
    this.#beginRow();
  }

  #beginRow(): void {
    this.#seen.clear();
    this.#label = NO_LABEL;
    this.#numbers = 0;
    this.clearValues();
  }
}

function findNameEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] !== COLON && bytes[at] !== COMMA) at += 1;
  return at;
}

function find(bytes: Uint8Array, start: number, end: number, wanted: number): number {
  let at = start;
  while (at < end && bytes[at] !== wanted) at += 1;
  return at;
}

/** The board's milliseconds are digits before a second colon; a text may hold colons too. */
function skipStamp(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] >= DIGIT_0 && bytes[at] <= DIGIT_0 + 9) at += 1;
  return at > start && at < end && bytes[at] === COLON ? skipBlanks(bytes, at + 1, end) : start;
}

function findSection(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; at++) {
    if (bytes[at] === SECTION) return at > start && bytes[at - 1] === SECTION_LEAD ? at - 1 : at;
  }
  return end;
}
