/** A CSV file that is open behind its header: which separator, which names, and why a line is no row. */
import { closeSync, fstatSync, openSync } from 'node:fs';
import { EdgeloopError } from '../errors.ts';
import { POINT } from '../serial/number.ts';
import { FAULT } from './csv-cells.ts';
import { RecordReader } from './csv-records.ts';
import { CELL, readNumber } from './csv-values.ts';

const SEPARATORS = [',', ';', '\t'] as const;
export type CsvSeparator = (typeof SEPARATORS)[number];

const COMMA = 0x2c;
const QUOTE = 0x22;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** Why a row was dropped. */
export const CSV_DROPS = [
  'columnCount', //   not as many cells as the header has
  'textAfterQuote', // text between a closing quote and the end of its cell
  'unclosedQuote', //  a quote that is never closed: its line
  'tooLong', //        longer than RECORD_BYTES_MAX
  'notANumber', //     a cell that is asked for as a number and is none that float32 can hold
  'notATime', //       the same of a time
  'badLabel', //       a class name of more than LABEL_BYTES_MAX, or one that is not UTF-8
] as const;
export type CsvDrop = (typeof CSV_DROPS)[number];

export function dropOfFault(fault: number): CsvDrop {
  if (fault === FAULT.textAfterQuote) return 'textAfterQuote';
  if (fault === FAULT.unclosedQuote) return 'unclosedQuote';
  return fault === FAULT.tooLong ? 'tooLong' : 'columnCount';
}

export interface Table {
  readonly path: string;
  readonly file: number;
  isOpen: boolean;
  readonly sizeBytes: number;
  readonly separator: CsvSeparator;
  /** Second decimal mark, see `readNumber`. */
  readonly mark: number;
  /** All columns, also those without a name. */
  readonly names: readonly string[];
  readonly width: number;
  /** Behind the header. */
  readonly records: RecordReader;
}

/** As many cells as the header has, or one empty one more: some programs end every line with a separator. */
export function fits({ records: { cells }, width }: Table): boolean {
  return cells.count === width || (cells.count === width + 1 && cells.first[width] === cells.end[width]);
}

/** A line with nothing on it. */
export function isBlank({ cells }: RecordReader): boolean {
  return cells.count === 1 && cells.first[0] === cells.end[0];
}

export function openTable(path: string): Table {
  const file = openFile(path);
  try {
    const records = new RecordReader(path, file, COMMA);
    const line = records.peekLine();
    skipByteOrderMark(path, records, line);
    const separator = separatorOf(line);
    records.cells.separator = separator.charCodeAt(0);
    const mark = separator === ',' ? POINT : COMMA;
    const names = readHeader(path, records, mark);
    const { size: sizeBytes } = fstatSync(file);
    return { path, file, isOpen: true, sizeBytes, separator, mark, names, width: names.length, records };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

function openFile(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw formatError(path, `cannot be opened (${code}). Expected a CSV file; check its path and its rights`);
  }
}

function skipByteOrderMark(path: string, records: RecordReader, line: Uint8Array): void {
  if (BYTE_ORDER_MARK.every((byte, index) => line[index] === byte)) records.skip(BYTE_ORDER_MARK.length);
  const isUtf16 = (line[0] === 0xff && line[1] === 0xfe) || (line[0] === 0xfe && line[1] === 0xff);
  if (isUtf16) throw formatError(path, 'expected text in UTF-8, got UTF-16. Save it as "CSV UTF-8"');
}

/** Of those the first line has the one it has most, outside quotes. */
function separatorOf(line: Uint8Array): CsvSeparator {
  const counts = SEPARATORS.map(() => 0);
  let quoted = false;
  for (const byte of line) {
    if (byte === QUOTE) quoted = !quoted;
    const index = SEPARATORS.findIndex((separator) => separator.charCodeAt(0) === byte);
    if (index >= 0 && !quoted) counts[index] += 1;
  }
  return SEPARATORS[counts.indexOf(Math.max(...counts))];
}

function readHeader(path: string, records: RecordReader, mark: number): string[] {
  if (!records.next()) throw formatError(path, 'expected a header row that names the columns, got no line');
  const { bytes, cells, fault } = records;
  if (fault !== FAULT.none) {
    const got = `got a line that is none (${dropOfFault(fault)})`;
    throw formatError(path, `expected a header row that names the columns, ${got}`);
  }
  const names: string[] = [];
  let numbers = 0;
  for (let cell = 0; cell < cells.count; cell++) {
    cells.unescape(bytes, cell);
    const [first, end] = [cells.first[cell], cells.end[cell]];
    if (readNumber(bytes, first, end, mark) === CELL.value) numbers += 1;
    names.push(decodeName(bytes.subarray(first, end)));
  }
  if (names.every((name) => name === '')) {
    throw formatError(path, 'expected a header row that names the columns, got an empty line');
  }
  // Names may be numbers, as those of spectra are; but not the greater part beside what is no name either.
  if (numbers > 0 && 2 * numbers >= names.length) {
    const got = `got numbers in line 1 ("${names.slice(0, 3).join('", "')}")`;
    throw formatError(
      path,
      `expected a header row that names the columns, ${got}. Put a line of names on top`,
    );
  }
  return names;
}

/** UTF-8, or what programs of Windows write. */
function decodeName(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder('windows-1252').decode(bytes);
  }
}

function formatError(path: string, sentence: string): EdgeloopError {
  return new EdgeloopError('ELOOP_FORMAT', `${path}: ${sentence}.`);
}
