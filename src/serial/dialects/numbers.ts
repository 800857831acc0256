/**
 * Bare numbers, and in one column a class name:
 *
 *     0.031,0.044,1.002,24.61,running
 *
 * Blanks around a cell do not count. An empty cell or `nan` is a missing value; an empty label cell is a row without
 * a label. One separator too many at the end is passed over, since sketches print the separator in a loop.
 */
import { type LineParser, OUTCOME, type Outcome } from '../outcome.ts';
import { NO_NUMBER, POINT, parsed, scanNumber } from '../number.ts';
import {
  LABEL_SLOT,
  NOT_TAKEN,
  type NamedColumns,
  RowParser,
  type RowTarget,
  TIME_SLOT,
  isBlank,
  skipBlanks,
  skipBlanksBack,
  slotsOf,
  valueColumns,
} from './row.ts';

/**
 * What stands between cells. `any` is comma, semicolon or tab, whichever comes; `space` is one or more spaces or
 * tabs. Where the separator is a semicolon, tab or space alone, a comma is a decimal mark like the point.
 */
export const SEPARATORS = ['any', 'comma', 'semicolon', 'tab', 'space'] as const;
export type Separator = (typeof SEPARATORS)[number];

const COMMA = 0x2c;
const NEWLINE = 0x0a;
const RETURN = 0x0d;

const SEPARATOR_TEXT: Readonly<Record<Separator, string>> = {
  any: ',;\t',
  comma: ',',
  semicolon: ';',
  tab: '\t',
  space: ' \t',
};

export class NumbersParser extends RowParser implements LineParser {
  readonly #reader: CellReader;
  readonly #columns: number;

  constructor(named: NamedColumns, separator: Separator, target: RowTarget) {
    super(valueColumns(named).length, target, []);
    this.#columns = named.columns.length;
    this.#reader = new CellReader(separator, this.#columns);
    this.#reader.slots.set(slotsOf(named));
    this.#reader.count = this.#columns;
  }

  parse(bytes: Uint8Array, start: number, end: number): Outcome {
    const reader = this.#reader;
    if (reader.readLine(bytes, start, end, this.values, this.printed)) {
      return this.finish(bytes, reader.labelFirst, reader.labelEnd);
    }
    const cells = reader.cells.count(bytes, start, end);
    return cells === this.#columns ? OUTCOME.notANumber : OUTCOME.columnCount;
  }

  override tryRow(bytes: Uint8Array, start: number, limit: number): number {
    const reader = this.#reader;
    const newline = reader.findRow(bytes, start, limit, this.values, this.printed);
    if (newline === NOT_TAKEN) return NOT_TAKEN;
    const outcome = this.finish(bytes, reader.labelFirst, reader.labelEnd);
    return outcome === OUTCOME.row ? newline : NOT_TAKEN;
  }
}

/** Reads the cells of a line into the slots of a row, and the board's clock into printed[0]. */
export class CellReader {
  readonly cells: Cells;
  /** Slot of each cell; see row.ts. */
  readonly slots: Int32Array;
  /** Cells of a line. */
  count = 0;
  /** Where the label's cell is in the line that was read last; the same twice if it is empty. */
  labelFirst = 0;
  labelEnd = 0;

  constructor(separator: Separator, cellsMax: number) {
    this.cells = new Cells(separator);
    this.slots = new Int32Array(cellsMax);
  }

  /** @returns whether bytes[start..end) is a line of as many sound cells, or one empty cell more */
  readLine(
    bytes: Uint8Array,
    start: number,
    end: number,
    values: Float32Array,
    printed: Float64Array,
  ): boolean {
    const at = this.#read(bytes, start, end, values, printed);
    return at !== NO_NUMBER && (at >= end || this.cells.isLastSeparator(bytes, at, end));
  }

  /** @returns the index of the newline behind as many sound cells, or NOT_TAKEN */
  findRow(
    bytes: Uint8Array,
    start: number,
    limit: number,
    values: Float32Array,
    printed: Float64Array,
  ): number {
    let at = this.#read(bytes, start, limit, values, printed);
    if (at === NO_NUMBER) return NOT_TAKEN;
    if (at < limit && bytes[at] === RETURN) at += 1;
    return at < limit && bytes[at] === NEWLINE ? at : NOT_TAKEN;
  }

  /** @returns where the last cell ends, or NO_NUMBER */
  #read(bytes: Uint8Array, start: number, end: number, values: Float32Array, printed: Float64Array): number {
    const cells = this.cells;
    const { ends, mark } = cells;
    const { slots, count } = this;
    let at = start;
    this.labelEnd = this.labelFirst;
    for (let cell = 0; ;) {
      const slot = slots[cell];
      // Nearly always: a number, and the cell's end right behind it.
      const stop = slot >= 0 ? scanNumber(bytes, at, end, mark) : NO_NUMBER;
      if (stop !== NO_NUMBER && stop < end && ends[bytes[stop]] !== 0) {
        values[slot] = parsed[0];
        at = stop;
      } else {
        at = this.#readOther(bytes, at, end, slot, values, printed);
        if (at === NO_NUMBER) return NO_NUMBER;
      }
      cell += 1;
      if (cell === count) return at;
      if (at >= end || ends[bytes[at]] !== ENDS_CELL) return NO_NUMBER;
      at += 1;
    }
  }

  /** A cell that is no plain number. @returns where it ends, or NO_NUMBER */
  #readOther(
    bytes: Uint8Array,
    start: number,
    end: number,
    slot: number,
    values: Float32Array,
    printed: Float64Array,
  ): number {
    const cells = this.cells;
    const first = cells.skipToCell(bytes, start, end);
    if (slot < 0 && slot !== TIME_SLOT) {
      const last = cells.endOfCell(bytes, first, end);
      if (slot === LABEL_SLOT) {
        this.labelFirst = first;
        this.labelEnd = skipBlanksBack(bytes, first, last);
      }
      return last;
    }
    const isMissing = first >= end || cells.ends[bytes[first]] !== 0;
    const last = isMissing ? first : scanNumber(bytes, first, end, cells.mark);
    if (last === NO_NUMBER) return NO_NUMBER;
    if (isMissing) parsed[0] = NaN;
    if (slot >= 0) values[slot] = parsed[0];
    else printed[0] = parsed[0];
    return isMissing ? last : cells.skipToSeparator(bytes, last, end);
  }
}

/** How a byte ends a cell: as a separator, or with the line. */
const ENDS_CELL = 1;
const ENDS_LINE = 2;

/** Where the cells of a line begin and end. */
export class Cells {
  /** [256]: ENDS_CELL, ENDS_LINE or 0. */
  readonly ends = new Uint8Array(256);
  /** The second decimal mark, see `scanNumber`. */
  mark: number;
  /** Several separators in a row are one. */
  readonly #runs: boolean;

  constructor(separator: Separator) {
    for (const character of SEPARATOR_TEXT[separator]) this.ends[character.charCodeAt(0)] = ENDS_CELL;
    this.ends[NEWLINE] = ENDS_LINE;
    this.ends[RETURN] = ENDS_LINE;
    this.mark = this.ends[COMMA] !== 0 ? POINT : COMMA;
    this.#runs = separator === 'space';
  }

  /** Has one more byte end a cell. */
  addSeparator(byte: number): void {
    this.ends[byte] = ENDS_CELL;
    if (byte === COMMA) this.mark = POINT;
  }

  /** @returns where the cell that may begin with blanks begins */
  skipToCell(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && isBlank(bytes[at]) && (this.#runs || this.ends[bytes[at]] === 0)) at += 1;
    return at;
  }

  /** @returns the first byte behind a number that is no blank, unless the blank is the separator */
  skipToSeparator(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && isBlank(bytes[at]) && this.ends[bytes[at]] === 0) at += 1;
    return at;
  }

  endOfCell(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && this.ends[bytes[at]] === 0) at += 1;
    return at;
  }

  /** @returns whether nothing but one separator (or a run of blanks) is left */
  isLastSeparator(bytes: Uint8Array, at: number, end: number): boolean {
    return this.ends[bytes[at]] === ENDS_CELL && this.skipToCell(bytes, at + 1, end) === end;
  }

  /** Cells of a line; one separator too many at the end is none. */
  count(bytes: Uint8Array, start: number, end: number): number {
    let at = this.#runs ? skipBlanks(bytes, start, end) : start;
    let cells = 1;
    for (;;) {
      at = this.endOfCell(bytes, at, end);
      if (at >= end || this.isLastSeparator(bytes, at, end)) return cells;
      at = this.skipToCell(bytes, at + 1, end);
      cells += 1;
    }
  }
}
