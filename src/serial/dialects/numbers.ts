/**
 * Bare numbers, and in one column a class name:
 *
 *     0.031,0.044,1.002,24.61,running
 *
 * Blanks around a cell do not count. An empty cell or `nan` is a missing value; an empty label cell is a row without
 * a label. One separator too many at the end is passed over, since sketches print the separator in a loop.
 */
import type { Labels } from '../labels.ts';
import { type LineFormat, type LineParser, OUTCOME, type Outcome, type RowSink } from '../outcome.ts';
import { NO_NUMBER, POINT, parsed, scanNumber } from '../number.ts';
import { RowParser, isBlank, skipBlanks, skipBlanksBack } from './row.ts';

/**
 * What stands between cells. `any` is comma, semicolon or tab, whichever comes; `space` is one or more spaces or
 * tabs. Where the separator is a semicolon, tab or space alone, a comma is a decimal mark like the point.
 */
export const SEPARATORS = ['any', 'comma', 'semicolon', 'tab', 'space'] as const;
export type Separator = (typeof SEPARATORS)[number];

const COMMA = 0x2c;

const SEPARATOR_TEXT: Readonly<Record<Separator, string>> = {
  any: ',;\t',
  comma: ',',
  semicolon: ';',
  tab: '\t',
  space: ' \t',
};

export interface NumbersFormat extends LineFormat {
  readonly separator: Separator;
}

export class NumbersParser extends RowParser implements LineParser {
  readonly #cells: Cells;
  readonly #columns: number;
  readonly #labelColumn: number;

  constructor({ columns, labelColumn, separator }: NumbersFormat, labels: Labels, sink: RowSink) {
    super(columns - (labelColumn < 0 ? 0 : 1), labels, sink);
    this.#cells = new Cells(separator);
    this.#columns = columns;
    this.#labelColumn = labelColumn;
  }

  parse(bytes: Uint8Array, start: number, end: number, timeUs: number): Outcome {
    const { ends, mark } = this.#cells;
    const labelColumn = this.#labelColumn;
    const columns = this.#columns;
    const values = this.values;
    let labelFirst = 0;
    let labelEnd = 0;
    let value = 0;
    let at = start;
    for (let column = 0; column < columns; column++) {
      if (column > 0) {
        if (at >= end || ends[bytes[at]] === 0) return this.#refuse(bytes, start, end);
        at += 1;
      }
      at = this.#cells.skipToCell(bytes, at, end);
      if (column === labelColumn) {
        labelFirst = at;
        at = this.#cells.endOfCell(bytes, at, end);
        labelEnd = skipBlanksBack(bytes, labelFirst, at);
      } else if (at >= end || ends[bytes[at]] !== 0) {
        values[value++] = NaN;
      } else {
        at = scanNumber(bytes, at, end, mark);
        if (at === NO_NUMBER) return this.#refuse(bytes, start, end);
        values[value++] = parsed[0];
        at = this.#cells.skipToSeparator(bytes, at, end);
      }
    }
    if (at < end && !this.#cells.isLastSeparator(bytes, at, end)) return this.#refuse(bytes, start, end);
    return this.finish(bytes, labelFirst, labelEnd, timeUs);
  }

  #refuse(bytes: Uint8Array, start: number, end: number): Outcome {
    const cells = this.#cells.count(bytes, start, end);
    return cells === this.#columns ? OUTCOME.notANumber : OUTCOME.columnCount;
  }
}

/** Where the cells of a line begin and end. */
export class Cells {
  /** [256], not 0 for a byte that ends a cell. */
  readonly ends = new Uint8Array(256);
  /** The second decimal mark, see `scanNumber`. */
  readonly mark: number;
  /** Several separators in a row are one. */
  readonly #runs: boolean;

  constructor(separator: Separator) {
    for (const character of SEPARATOR_TEXT[separator]) this.ends[character.charCodeAt(0)] = 1;
    this.mark = this.ends[COMMA] !== 0 ? POINT : COMMA;
    this.#runs = separator === 'space';
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
    return this.ends[bytes[at]] !== 0 && this.skipToCell(bytes, at + 1, end) === end;
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
