/** Which columns of a CSV file are taken as what: as asked for, else by what they hold. */
import { EdgeloopError } from '../errors.ts';
import type { CsvColumn } from './csv-columns.ts';
import type { CsvSeparator } from './csv-table.ts';

export interface CsvDescription {
  readonly path: string;
  readonly separator: CsvSeparator;
  /** With a name that stands there first; columns under an empty or repeated name cannot be asked for. */
  readonly columns: readonly CsvColumn[];
  /** All columns of the header. */
  readonly width: number;
  /** The rows from which the kinds were told; all rows of the file if it has no more, or all were asked for. */
  readonly rows: number;
  readonly isWhole: boolean;
}

/** Which columns are taken as what. */
export interface CsvSelection {
  /** Inputs, in order. Default: every column of numbers that is not the label, a target or the time. */
  readonly columns?: readonly string[];
  /** The column whose cells, as texts, are the classes. */
  readonly label?: string;
  /** Columns of numbers to be predicted. */
  readonly targets?: readonly string[];
  /** Default: the first column of times; false: none. A column of numbers that is no unix time counts seconds. */
  readonly time?: string | false;
  /** Most classes; default and limit CLASSES_MAX. */
  readonly classesMax?: number;
  /** Classes that are known, in order. */
  readonly classes?: readonly string[];
}

export interface Chosen {
  readonly inputs: readonly CsvColumn[];
  readonly targets: readonly CsvColumn[];
  readonly label: CsvColumn | undefined;
  readonly time: CsvColumn | undefined;
}

export function choose(description: CsvDescription, selection: CsvSelection): Chosen {
  const { columns, label, targets = [], time } = selection;
  const named = (name: string, what: string): CsvColumn => columnNamed(description, name, what);
  const labelColumn = label === undefined ? undefined : named(label, 'label');
  const targetColumns = targets.map((name) => numeric(description, named(name, 'target'), 'target'));
  const timeColumn = time === false ? undefined : chooseTime(description, time);
  const taken = new Set([labelColumn, timeColumn, ...targetColumns]);
  const inputs =
    columns === undefined
      ? description.columns.filter((column) => column.kind === 'number' && !taken.has(column))
      : columns.map((name) => numeric(description, named(name, 'columns'), 'columns'));
  const twice = inputs.find((column) => column === labelColumn || targetColumns.includes(column));
  if (twice !== undefined) {
    throw selectionError(description, `"${twice.name}" cannot be an input and what is to be predicted`);
  }
  if (inputs.length === 0)
    throw selectionError(description, 'expected a column of numbers as input, got none');
  return { inputs, targets: targetColumns, label: labelColumn, time: timeColumn };
}

function chooseTime(description: CsvDescription, name: string | undefined): CsvColumn | undefined {
  if (name === undefined) return description.columns.find(({ kind }) => kind === 'time');
  const column = columnNamed(description, name, 'time');
  if (column.kind === 'text' || column.kind === 'empty') {
    const expected = 'expected ISO 8601 or numbers';
    throw selectionError(description, `time: ${expected} in column "${name}", got ${wordOf(column)}`);
  }
  return column;
}

function columnNamed(description: CsvDescription, name: string, what: string): CsvColumn {
  const found = description.columns.find((column) => column.name === name);
  if (found !== undefined) return found;
  const known = description.columns.map((column) => column.name).join(', ');
  throw selectionError(description, `${what}: expected one of ${known}; got "${name}"`);
}

/** A column that is empty where it was looked at may have numbers later. */
function numeric(description: CsvDescription, column: CsvColumn, what: string): CsvColumn {
  if (column.kind !== 'text' && column.clockUs === column.clockUs) return column;
  throw selectionError(
    description,
    `${what}: expected numbers in column "${column.name}", got ${wordOf(column)}`,
  );
}

function wordOf({ kind }: CsvColumn): string {
  return kind === 'empty' ? 'no value' : `${kind}s`;
}

function selectionError({ path }: CsvDescription, sentence: string): EdgeloopError {
  return new EdgeloopError('ELOOP_CONFIG', `${path}: ${sentence}.`);
}
