/**
 * CSV files, streamed: bytes in, rows of numbers out, in memory that does not depend on the size of the file.
 *
 *     csv-records   file -> whole records, line numbers       csv-cells     record -> cells
 *     csv-values    cell -> number, time, missing             csv-columns   rows -> kinds of columns
 *     csv-table     header and separator                      csv-selection columns -> inputs, targets, label, time
 *
 * What is understood: RFC 4180 quoting; comma, semicolon or tab, whichever the header has most of; LF and CRLF; a byte
 * order mark; empty, `?`, `na`, `nan`, `n/a` and `null` as missing; decimal commas unless the comma separates cells;
 * ISO 8601 and unix time. A header row is required. A row that cannot be read is dropped and counted by reason, with the
 * line of the first one of each. Classes are numbered in order of first appearance.
 *
 *     const csv = openCsv('data.csv', { label: 'state' });
 *     csv.forEachRow((row) => learn(row.values, row.label));
 */
import { closeSync } from 'node:fs';
import { EdgeloopError } from '../errors.ts';
import { LABEL_REFUSED, Labels } from '../serial/labels.ts';
import { NO_LABEL } from '../stream/ring.ts';
import { FAULT } from './csv-cells.ts';
import { ColumnSurvey } from './csv-columns.ts';
import { type CsvDescription, type CsvSelection, choose } from './csv-selection.ts';
import { CSV_DROPS, type CsvDrop, type Table, dropOfFault, fits, isBlank, openTable } from './csv-table.ts';
import { CELL, cellValue, isMissing, readIsoTime, readNumber } from './csv-values.ts';

export type { CsvDescription, CsvSelection } from './csv-selection.ts';
export type { CsvDrop, CsvSeparator } from './csv-table.ts';
export type { ColumnKind, CsvColumn } from './csv-columns.ts';

/** As many as a network may have outputs. */
export const CLASSES_MAX = 256;

/** The kinds of columns are told from so many rows at the beginning of a file, unless all are asked for. */
const SURVEY_ROWS = 2000;

/** Rows dropped, by reason, and the line of the first of each, from 1; a reason that did not occur is missing. */
export type CsvDrops = Readonly<
  Partial<Record<CsvDrop, { readonly rows: number; readonly firstLine: number }>>
>;

/** A row; one object for all rows, valid only during the call. */
export interface CsvRow {
  /** [inputs], NaN where a value is missing. */
  readonly values: Float32Array;
  /** [targets], NaN where one is missing. */
  readonly targets: Float32Array;
  /** Class index, or NO_LABEL if the cell is missing or there is no label. */
  label: number;
  /** [1]: microseconds since 1970, or of the file's own clock; NaN if unknown. */
  readonly timeUs: Float64Array;
  /** Line on which the row begins, from 1. */
  line: number;
}

export type CsvRowSink = (row: CsvRow) => void;

/**
 * Tells what the columns hold.
 * @param rowsMax rows that are looked at; Infinity: all
 * @throws EdgeloopError ELOOP_FORMAT: no such file, no header
 */
export function describeCsv(path: string, rowsMax = SURVEY_ROWS): CsvDescription {
  const survey = new CsvSurvey(path);
  try {
    survey.read(rowsMax);
    return survey.describe();
  } finally {
    survey.close();
  }
}

/** `describeCsv` in pieces, so that whoever reads a large file can do something else in between. */
export class CsvSurvey {
  readonly sizeBytes: number;
  readonly #table: Table;
  readonly #survey: ColumnSurvey;
  #rows = 0;
  #atEnd = false;

  constructor(path: string) {
    this.#table = openTable(path);
    this.sizeBytes = this.#table.sizeBytes;
    this.#survey = new ColumnSurvey(this.#table.names, this.#table.mark);
  }

  get bytesRead(): number {
    return this.#table.records.bytesRead;
  }

  /** Looks at up to `records` more. @returns whether there may be more */
  read(records: number): boolean {
    const { records: reader } = this.#table;
    for (let count = 0; count < records && !this.#atEnd; count++) {
      if (!reader.next()) this.#atEnd = true;
      else if (reader.fault === FAULT.none && !isBlank(reader) && fits(this.#table)) {
        this.#survey.take(reader.bytes, reader.cells);
        this.#rows += 1;
      }
    }
    return !this.#atEnd;
  }

  describe(): CsvDescription {
    const { path, separator, names } = this.#table;
    const columns = this.#survey.columns();
    return {
      path,
      separator,
      columns: columns.filter(({ name, index }) => name !== '' && names.indexOf(name) === index),
      width: names.length,
      rows: this.#rows,
      isWhole: this.#atEnd,
    };
  }

  close(): void {
    closeSync(this.#table.file);
  }
}

/**
 * Opens a file for reading its rows once, in order. The file is read twice at its beginning, so it must be one, and no
 * pipe.
 * @param described what `describeCsv` said of it; default: that is found out
 * @throws EdgeloopError ELOOP_FORMAT: no such file, no header; ELOOP_CONFIG: a column that is not there, or of no use
 */
export function openCsv(path: string, selection: CsvSelection = {}, described?: CsvDescription): CsvReader {
  return new CsvReader(described ?? describeCsv(path), selection);
}

export class CsvReader {
  readonly description: CsvDescription;
  /** Names of row.values and row.targets, in order. */
  readonly inputs: readonly string[];
  readonly targets: readonly string[];
  readonly label: string | undefined;
  readonly time: string | undefined;
  /** Rows given to the sink. */
  rows = 0;
  readonly sizeBytes: number;
  readonly #table: Table;
  readonly #labels: Labels;
  readonly #classesMax: number;
  readonly #inputCells: Int32Array;
  readonly #targetCells: Int32Array;
  readonly #labelCell: number;
  readonly #timeCell: number;
  /** Microseconds to one of the time's numbers; NaN: ISO 8601. */
  readonly #clockUs: number;
  readonly #row: CsvRow;
  readonly #dropped = new Float64Array(CSV_DROPS.length);
  readonly #firstLines = new Float64Array(CSV_DROPS.length);

  constructor(description: CsvDescription, selection: CsvSelection) {
    const chosen = choose(description, selection);
    this.description = description;
    this.inputs = chosen.inputs.map(({ name }) => name);
    this.targets = chosen.targets.map(({ name }) => name);
    this.label = chosen.label?.name;
    this.time = chosen.time?.name;
    this.#classesMax = Math.min(selection.classesMax ?? CLASSES_MAX, CLASSES_MAX);
    this.#labels = new Labels(selection.classes ?? [], this.#classesMax);
    this.#inputCells = Int32Array.from(chosen.inputs, ({ index }) => index);
    this.#targetCells = Int32Array.from(chosen.targets, ({ index }) => index);
    this.#labelCell = chosen.label?.index ?? -1;
    this.#timeCell = chosen.time?.index ?? -1;
    this.#clockUs = chosen.time?.clockUs ?? NaN;
    this.#row = {
      values: new Float32Array(this.inputs.length),
      targets: new Float32Array(this.targets.length),
      label: NO_LABEL,
      timeUs: Float64Array.of(NaN),
      line: 0,
    };
    this.#table = openTable(description.path);
    this.sizeBytes = this.#table.sizeBytes;
  }

  get bytesRead(): number {
    return this.#table.records.bytesRead;
  }

  /** Names of the classes seen so far, in order of class. */
  get classes(): readonly string[] {
    return this.#labels.names;
  }

  get dropped(): CsvDrops {
    const seen = CSV_DROPS.map((reason, index) => ({ reason, index })).filter(
      ({ index }) => this.#dropped[index] > 0,
    );
    return Object.fromEntries(
      seen.map(({ reason, index }) => [
        reason,
        { rows: this.#dropped[index], firstLine: this.#firstLines[index] },
      ]),
    );
  }

  /**
   * Gives all rows that are left, then closes the file. Allocates nothing per row.
   * @throws EdgeloopError ELOOP_FORMAT when there are more classes than may be
   */
  forEachRow(sink: CsvRowSink): void {
    try {
      while (this.read(sink, Infinity));
    } finally {
      this.close();
    }
  }

  /** Goes over up to `records` more and gives their rows. @returns whether there may be more */
  read(sink: CsvRowSink, records: number): boolean {
    const reader = this.#table.records;
    for (let count = 0; count < records; count++) {
      if (!reader.next()) return false;
      this.#take(sink);
    }
    return true;
  }

  /** Every reader must be closed; `forEachRow` does it by itself. */
  close(): void {
    if (this.#table.isOpen) closeSync(this.#table.file);
    this.#table.isOpen = false;
  }

  #take(sink: CsvRowSink): void {
    const { records } = this.#table;
    if (records.fault !== FAULT.none) return this.#drop(dropOfFault(records.fault));
    if (isBlank(records)) return;
    if (!fits(this.#table)) return this.#drop('columnCount');
    const row = this.#row;
    if (!this.#readNumbers(this.#inputCells, row.values)) return this.#drop('notANumber');
    if (!this.#readNumbers(this.#targetCells, row.targets)) return this.#drop('notANumber');
    if (!this.#readTime()) return this.#drop('notATime');
    // Last, since no other row may teach a new class.
    row.label = this.#readLabel();
    if (row.label === LABEL_REFUSED) return this.#drop('badLabel');
    row.line = records.line;
    this.rows += 1;
    sink(row);
  }

  #readNumbers(columns: Int32Array, into: Float32Array): boolean {
    const { bytes, cells } = this.#table.records;
    const { mark } = this.#table;
    for (let i = 0; i < columns.length; i++) {
      const cell = columns[i];
      if (readNumber(bytes, cells.first[cell], cells.end[cell], mark) === CELL.other) return false;
      into[i] = cellValue[0];
    }
    return true;
  }

  #readTime(): boolean {
    const cell = this.#timeCell;
    if (cell < 0) return true;
    const { bytes, cells } = this.#table.records;
    const first = cells.first[cell];
    const end = cells.end[cell];
    const isIso = this.#clockUs !== this.#clockUs;
    const read = isIso ? readIsoTime(bytes, first, end) : readNumber(bytes, first, end, this.#table.mark);
    if (read === CELL.other) return false;
    this.#row.timeUs[0] = isIso ? cellValue[0] : cellValue[0] * this.#clockUs;
    return true;
  }

  #readLabel(): number {
    const cell = this.#labelCell;
    if (cell < 0) return NO_LABEL;
    const { bytes, cells, line } = this.#table.records;
    cells.unescape(bytes, cell);
    const first = cells.first[cell];
    const end = cells.end[cell];
    if (isMissing(bytes, first, end)) return NO_LABEL;
    const index = this.#labels.classOf(bytes, first, end);
    if (index === LABEL_REFUSED && this.#labels.names.length >= this.#classesMax) {
      throw tooManyClasses(this.description.path, line, this.label!, this.#classesMax);
    }
    return index;
  }

  #drop(reason: CsvDrop): void {
    const index = CSV_DROPS.indexOf(reason);
    if (this.#dropped[index] === 0) this.#firstLines[index] = this.#table.records.line;
    this.#dropped[index] += 1;
  }
}

function tooManyClasses(path: string, line: number, label: string, classesMax: number): EdgeloopError {
  return new EdgeloopError(
    'ELOOP_FORMAT',
    `${path}:${line}: expected up to ${classesMax} classes in column "${label}", got one more. ` +
      'If it holds a quantity, name it with --target; else name another column.',
  );
}
