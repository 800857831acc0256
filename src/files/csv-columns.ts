/**
 * What the columns of a CSV file hold, told from its rows: numbers, texts, times. The kind is what most cells are that
 * are not missing; the others are found, dropped and counted when the rows are read.
 */
import { LABEL_REFUSED, Labels } from '../serial/labels.ts';
import type { Cells } from './csv-cells.ts';
import { CELL, cellValue, readIsoTime, readNumber } from './csv-values.ts';

/**
 * `counter`: numbers that rise by one from row to row, which number the rows and tell nothing.
 * `empty`: all missing.
 */
export type ColumnKind = 'number' | 'text' | 'time' | 'counter' | 'empty';

export interface CsvColumn {
  readonly name: string;
  /** From 0. */
  readonly index: number;
  readonly kind: ColumnKind;
  /** All its numbers are integers. */
  readonly integers: boolean;
  /** Rows seen, and those of them without a value. */
  readonly rows: number;
  readonly missing: number;
  /** Different values, or Infinity for more than DISTINCT_MAX. */
  readonly distinct: number;
  /** If it is a clock: microseconds to one of its numbers, NaN if it holds ISO 8601. */
  readonly clockUs: number;
}

/** So many different values are counted. */
export const DISTINCT_MAX = 64;

/** A column of numbers that may be a clock is one if its name says so. */
const CLOCK_NAME = /(^|[^a-z])(time|timestamp|date|datetime|epoch|unix|ts)([^a-z]|$)|time$|timestamp|epoch/i;
/** 1973 in seconds: smaller numbers are no time of day of any sensor. */
const EPOCH_MIN = 1e8;
/** Largest number of each unit, in the year 5138, and its microseconds. */
const EPOCH_UNITS = [
  [1e11, 1e6],
  [1e14, 1e3],
  [1e17, 1],
  [1e20, 1e-3],
] as const;
const SECOND_US = 1e6;
const COUNTER_ROWS_MIN = 10;

export class ColumnSurvey {
  readonly #names: readonly string[];
  readonly #mark: number;
  #rows = 0;
  // One slot for each column.
  readonly #missing: Float64Array;
  readonly #numbers: Float64Array;
  readonly #times: Float64Array;
  readonly #integers: Uint8Array;
  readonly #rising: Uint8Array;
  readonly #counting: Uint8Array;
  readonly #smallest: Float64Array;
  readonly #newest: Float64Array;
  readonly #values: Labels[];
  readonly #many: Uint8Array;

  /** @param mark see readNumber */
  constructor(names: readonly string[], mark: number) {
    const { length } = names;
    this.#names = names;
    this.#mark = mark;
    this.#missing = new Float64Array(length);
    this.#numbers = new Float64Array(length);
    this.#times = new Float64Array(length);
    this.#integers = new Uint8Array(length).fill(1);
    this.#rising = new Uint8Array(length).fill(1);
    this.#counting = new Uint8Array(length).fill(1);
    this.#smallest = new Float64Array(length).fill(Infinity);
    this.#newest = new Float64Array(length).fill(NaN);
    this.#values = names.map(() => new Labels([], DISTINCT_MAX));
    this.#many = new Uint8Array(length);
  }

  /** Takes a sound record of as many cells as there are columns. */
  take(bytes: Uint8Array, cells: Cells): void {
    this.#rows += 1;
    for (let column = 0; column < this.#names.length; column++) {
      cells.unescape(bytes, column);
      this.#takeCell(column, bytes, cells.first[column], cells.end[column]);
    }
  }

  #takeCell(column: number, bytes: Uint8Array, first: number, end: number): void {
    const cell = readNumber(bytes, first, end, this.#mark);
    if (cell === CELL.missing) {
      this.#missing[column] += 1;
      this.#counting[column] = 0;
      return;
    }
    if (cell === CELL.value) this.#takeNumber(column);
    else if (readIsoTime(bytes, first, end) === CELL.value) this.#times[column] += 1;
    if (this.#many[column] === 0 && this.#values[column].classOf(bytes, first, end) === LABEL_REFUSED) {
      this.#many[column] = 1;
    }
  }

  #takeNumber(column: number): void {
    const value = cellValue[0];
    const before = this.#newest[column];
    this.#numbers[column] += 1;
    if (Math.trunc(value) !== value) this.#integers[column] = 0;
    if (value < before) this.#rising[column] = 0;
    if (before === before && value !== before + 1) this.#counting[column] = 0;
    if (value < this.#smallest[column]) this.#smallest[column] = value;
    this.#newest[column] = value;
  }

  /** What has been seen so far. */
  columns(): CsvColumn[] {
    return this.#names.map((name, index) => ({
      name,
      index,
      kind: this.#kindOf(index),
      integers: this.#numbers[index] > 0 && this.#integers[index] === 1,
      rows: this.#rows,
      missing: this.#missing[index],
      distinct: this.#many[index] === 1 ? Infinity : this.#values[index].names.length,
      clockUs: this.#times[index] > this.#numbers[index] ? NaN : epochUs(this.#smallest[index]),
    }));
  }

  #kindOf(column: number): ColumnKind {
    const present = this.#rows - this.#missing[column];
    if (present === 0) return 'empty';
    if (2 * this.#times[column] > present || this.#isUnixTime(column, present)) return 'time';
    if (2 * this.#numbers[column] <= present) return 'text';
    const counts = this.#counting[column] === 1 && this.#numbers[column] === this.#rows;
    return counts && this.#rows >= COUNTER_ROWS_MIN ? 'counter' : 'number';
  }

  #isUnixTime(column: number, present: number): boolean {
    const isClock = this.#numbers[column] === present && this.#rising[column] === 1;
    return isClock && this.#smallest[column] >= EPOCH_MIN && CLOCK_NAME.test(this.#names[column]);
  }
}

/** @returns microseconds to one of the unit in which `value` is a time since 1970; of a smaller one, of a second */
function epochUs(value: number): number {
  return EPOCH_UNITS.find(([max]) => value < max)?.[1] ?? SECOND_US;
}
