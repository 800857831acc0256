/**
 * JSON lines, one flat object each:
 *
 *     {"x": 0.031, "y": null, "temperature": 24.61, "state": "running"}
 *
 * `null`, `nan` and a missing name are missing values; a label is a string, or a number taken as text. A name that is
 * no column is passed over and counted, whatever its value. Names and labels are compared byte by byte, so an escape
 * is not undone: such a name is no column, and such a label is refused. A value that is an object or a list drops the
 * line: where it ends cannot be told without a parser of any depth.
 */
import { type LineParser, OUTCOME, type Outcome } from '../outcome.ts';
import { NO_NUMBER, POINT, scanNumber } from '../number.ts';
import {
  ColumnIndex,
  LABEL_SLOT,
  type NamedColumns,
  RowParser,
  type RowTarget,
  Seen,
  TIME_SLOT,
  UNKNOWN_SLOT,
  isBlank,
  skipBlanks,
} from './row.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const BRACE_OPEN = 0x7b;
const BRACE_CLOSE = 0x7d;
const BRACKET_OPEN = 0x5b;
const NULL = new TextEncoder().encode('null');

export class JsonParser extends RowParser implements LineParser {
  readonly #columns: ColumnIndex;
  readonly #seen: Seen;
  #labelFirst = 0;
  #labelEnd = 0;
  #unfitLabel = false;
  #numbers = 0;
  #ignored = 0;

  constructor(columns: NamedColumns, target: RowTarget) {
    const index = new ColumnIndex(columns);
    super(index.numbers, target, ['otherText', 'unknownName', 'repeatedName', 'nested']);
    this.#columns = index;
    this.#seen = new Seen(index.numbers);
  }

  parse(bytes: Uint8Array, start: number, end: number): Outcome {
    this.#beginRow();
    let at = skipBlanks(bytes, start, end);
    if (at >= end || bytes[at] !== BRACE_OPEN) return OUTCOME.otherText;
    at = skipBlanks(bytes, at + 1, end);
    while (at < end && bytes[at] === QUOTE) {
      const nameEnd = endOfString(bytes, at, end);
      const colon = skipBlanks(bytes, nameEnd + 1, end);
      if (colon >= end || bytes[colon] !== COLON) return OUTCOME.otherText;
      const first = skipBlanks(bytes, colon + 1, end);
      const slot = this.#columns.slotOf(bytes, at + 1, nameEnd);
      let last = slot >= 0 || slot === TIME_SLOT ? this.#tryNumber(bytes, slot, first, end) : NO_NUMBER;
      if (last === NO_NUMBER) {
        last = endOfValue(bytes, first, end);
        if (first >= last) return OUTCOME.otherText;
        if (bytes[first] === BRACE_OPEN || bytes[first] === BRACKET_OPEN) return OUTCOME.nested;
        const refused = this.#take(bytes, slot, first, last);
        if (refused !== OUTCOME.row) return refused;
      }
      at = skipBlanks(bytes, last, end);
      if (at >= end || bytes[at] !== COMMA) break;
      at = skipBlanks(bytes, at + 1, end);
    }
    if (at >= end || bytes[at] !== BRACE_CLOSE || skipBlanks(bytes, at + 1, end) < end) {
      return OUTCOME.otherText;
    }
    return this.#endRow(bytes);
  }

  /** The usual case in one go. @returns where the number ends, or NO_NUMBER if there is more to be looked at */
  #tryNumber(bytes: Uint8Array, slot: number, first: number, end: number): number {
    if (this.#seen.has(slot)) return NO_NUMBER;
    const last = scanNumber(bytes, first, end, POINT);
    if (last === NO_NUMBER || last >= end || !endsValue(bytes[last])) return NO_NUMBER;
    this.#seen.add(slot);
    if (slot >= 0) this.#numbers += 1;
    this.put(slot);
    return last;
  }

  /** @returns OUTCOME.row to go on, or why the line is dropped */
  #take(bytes: Uint8Array, slot: number, first: number, last: number): Outcome {
    if (slot === UNKNOWN_SLOT) {
      this.#ignored += 1;
      return OUTCOME.row;
    }
    if (!this.#seen.add(slot)) return OUTCOME.repeatedName;
    const isNull = isNullWord(bytes, first, last);
    if (slot === LABEL_SLOT) {
      if (!isNull) this.#takeLabel(bytes, first, last);
      return OUTCOME.row;
    }
    if (slot >= 0) this.#numbers += 1;
    if (isNull) return OUTCOME.row;
    if (scanNumber(bytes, first, last, POINT) !== last) return OUTCOME.notANumber;
    this.put(slot);
    return OUTCOME.row;
  }

  #takeLabel(bytes: Uint8Array, first: number, last: number): void {
    const quoted = bytes[first] === QUOTE;
    this.#labelFirst = quoted ? first + 1 : first;
    this.#labelEnd = quoted ? last - 1 : last;
    for (let at = first; at < last; at++) if (bytes[at] === BACKSLASH) this.#unfitLabel = true;
    if (!quoted && scanNumber(bytes, first, last, POINT) !== last) this.#unfitLabel = true;
  }

  #beginRow(): void {
    this.#seen.clear();
    this.clearValues();
    this.#labelFirst = 0;
    this.#labelEnd = 0;
    this.#unfitLabel = false;
    this.#numbers = 0;
    this.#ignored = 0;
  }

  #endRow(bytes: Uint8Array): Outcome {
    if (this.#numbers === 0) return OUTCOME.unknownName;
    if (this.#unfitLabel) return OUTCOME.unknownLabel;
    const outcome = this.finish(bytes, this.#labelFirst, this.#labelEnd);
    if (outcome === OUTCOME.row) this.ignored += this.#ignored;
    return outcome;
  }
}

/** @param start index of the opening quote @returns index of the closing one, or `end` */
function endOfString(bytes: Uint8Array, start: number, end: number): number {
  let at = start + 1;
  while (at < end && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return Math.min(at, end);
}

/** A string's end is behind its closing quote; anything else ends before a comma, brace or blank. */
function endOfValue(bytes: Uint8Array, start: number, end: number): number {
  if (start < end && bytes[start] === QUOTE) {
    const close = endOfString(bytes, start, end);
    return close < end ? close + 1 : start;
  }
  let at = start;
  while (at < end && !endsValue(bytes[at])) at += 1;
  return at;
}

function endsValue(byte: number): boolean {
  return byte === COMMA || byte === BRACE_CLOSE || isBlank(byte);
}

function isNullWord(bytes: Uint8Array, first: number, last: number): boolean {
  if (last - first !== NULL.length) return false;
  for (let i = 0; i < NULL.length; i++) if (bytes[first + i] !== NULL[i]) return false;
  return true;
}
