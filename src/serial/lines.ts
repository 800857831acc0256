/**
 * Lines of numbers and, in one column, a class name: bytes in, rows out, without a string.
 *
 *     0.031,0.044,1.002,24.61,running\r\n
 *
 * Cells are separated by comma, semicolon or tab; blanks around a cell do not count. An empty cell or `nan` is a
 * missing value; an empty label cell is a row without a label. Everything else that does not fit drops the line and
 * counts it by reason. The decoder holds one line of bounded length and one row: memory does not depend on the
 * input.
 */
import { NO_LABEL } from '../stream/ring.ts';
import { LABEL_REFUSED, type Labels } from './labels.ts';
import { parsed, parseNumber } from './number.ts';

/** A longer line is noise, or another baud rate. */
export const LINE_BYTES_MAX = 1024;

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;
const COMMA = 0x2c;
const SEMICOLON = 0x3b;

/** Lines dropped, by reason. */
export interface DropCounts {
  /** The rest of a line that began before the port was opened. */
  torn: number;
  /** Longer than LINE_BYTES_MAX. */
  tooLong: number;
  /** Not as many cells as the config has columns. */
  columnCount: number;
  /** A cell that is not a number, or one that float32 cannot hold. */
  notANumber: number;
  /** A class name beyond the number of outputs, or one that is not text. */
  unknownLabel: number;
}

export interface LineFormat {
  /** Cells on a line, the label's among them. */
  readonly columns: number;
  /** Index of the label's cell, -1 for none. */
  readonly labelColumn: number;
}

/**
 * Takes a row.
 * @param values [numbers], valid only during the call
 * @param label  class index or NO_LABEL
 */
export type RowSink = (values: Float32Array, label: number, timeUs: number) => void;

export class LineDecoder {
  readonly dropped: DropCounts = { torn: 0, tooLong: 0, columnCount: 0, notANumber: 0, unknownLabel: 0 };
  readonly #format: LineFormat;
  readonly #labels: Labels;
  readonly #sink: RowSink;
  readonly #line = new Uint8Array(LINE_BYTES_MAX);
  readonly #row: Float32Array;
  #lineBytes = 0;
  /** Until the first line end nobody knows whether the line is whole: "31" may be the end of "0.031". */
  #synchronised = false;

  constructor(format: LineFormat, labels: Labels, sink: RowSink) {
    this.#format = format;
    this.#labels = labels;
    this.#sink = sink;
    this.#row = new Float32Array(format.columns - (format.labelColumn < 0 ? 0 : 1));
  }

  /** Takes bytes[0..count) as they came from the port, read at `timeUs` (monotonic). */
  push(bytes: Uint8Array, count: number, timeUs: number): void {
    for (let i = 0; i < count; i++) {
      const byte = bytes[i];
      if (byte === NEWLINE) this.#endLine(timeUs);
      else if (this.#lineBytes < LINE_BYTES_MAX) this.#line[this.#lineBytes++] = byte;
      else this.#lineBytes = LINE_BYTES_MAX + 1; // remember that the line was too long, keep no more of it
    }
  }

  #endLine(timeUs: number): void {
    const bytes = this.#lineBytes;
    this.#lineBytes = 0;
    const torn = !this.#synchronised;
    this.#synchronised = true;
    if (torn) {
      if (bytes > 0) this.dropped.torn += 1;
    } else if (bytes > LINE_BYTES_MAX) {
      this.dropped.tooLong += 1;
    } else {
      this.#decode(bytes, timeUs);
    }
  }

  #decode(lineBytes: number, timeUs: number): void {
    const line = this.#line;
    const end = lineBytes > 0 && line[lineBytes - 1] === RETURN ? lineBytes - 1 : lineBytes;
    if (end === 0) return; // a blank line carries nothing
    const { columns, labelColumn } = this.#format;
    if (countCells(line, end) !== columns) {
      this.dropped.columnCount += 1;
      return;
    }
    let labelFirst = 0;
    let labelEnd = 0;
    let value = 0;
    for (let column = 0, start = 0; column < columns; column++) {
      let stop = start;
      while (stop < end && !isSeparator(line[stop])) stop += 1;
      const first = skipBlanks(line, start, stop);
      const last = skipBlanksBack(line, first, stop);
      start = stop + 1;
      if (column === labelColumn) {
        labelFirst = first;
        labelEnd = last;
      } else if (first === last) {
        this.#row[value++] = NaN;
      } else if (parseNumber(line, first, last)) {
        this.#row[value++] = parsed[0];
      } else {
        this.dropped.notANumber += 1;
        return;
      }
    }
    // Only a line whose numbers are sound may teach a new class name.
    const label = labelFirst === labelEnd ? NO_LABEL : this.#labels.classOf(line, labelFirst, labelEnd);
    if (label === LABEL_REFUSED) this.dropped.unknownLabel += 1;
    else this.#sink(this.#row, label, timeUs);
  }
}

function isSeparator(byte: number): boolean {
  return byte === COMMA || byte === SEMICOLON || byte === TAB;
}

function countCells(line: Uint8Array, end: number): number {
  let cells = 1;
  for (let at = 0; at < end; at++) if (isSeparator(line[at])) cells += 1;
  return cells;
}

function skipBlanks(line: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && line[at] === SPACE) at += 1;
  return at;
}

function skipBlanksBack(line: Uint8Array, start: number, end: number): number {
  let at = end;
  while (at > start && line[at - 1] === SPACE) at -= 1;
  return at;
}
