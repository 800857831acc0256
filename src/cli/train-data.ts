/** What `edgeloop train` learns from: a CSV file or a recording, and what of it is to be predicted. */
import { statSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { EdgeloopError } from '../errors.ts';
import { type CsvColumn, type CsvDescription, CsvSurvey, openCsv } from '../files/csv.ts';
import { type DataSet, RowStore } from '../files/data-set.ts';
import type { Progress, ProgressOptions } from './progress.ts';

export type Task = 'classify' | 'regress';

/** As asked for on the command line. */
export interface Asked {
  readonly task: Task | undefined;
  readonly label: string | undefined;
  readonly targets: readonly string[] | undefined;
  readonly columns: readonly string[] | undefined;
}

export interface TrainingData {
  readonly task: Task;
  readonly data: DataSet;
  /** Why it is this task, what was left out, what looks odd: sentences. */
  readonly notes: readonly string[];
  /** Rows or lines dropped, by reason, and the first line of each if it is known. */
  readonly dropped: Readonly<Record<string, { readonly rows: number; readonly firstLine?: number }>>;
}

/** What reading a file needs of the outside. */
export interface Reading {
  newProgress(options: ProgressOptions): Progress;
  /** The user has had enough. */
  isEnded(): boolean;
}

/** Thrown by itself, since it is nobody's fault. */
export class Interrupted extends Error {}

/** Up to so many different integers are classes unless the task is given; more are a quantity. */
const FEW_INTEGERS = 20;
/** Work between two looks at what else there is to do: some milliseconds. */
const RECORDS_AT_ONCE = 5000;

/**
 * @param path of a CSV file, or the directory of a recording
 * @throws EdgeloopError, Interrupted
 */
export async function loadTrainingData(path: string, asked: Asked, reading: Reading): Promise<TrainingData> {
  if (asked.label !== undefined && asked.targets !== undefined) {
    throw usage('expected --label or --target, got both');
  }
  const isDirectory = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  if (!isDirectory) return loadCsv(path, asked, reading);
  const { loadRecording } = await import('./train-recording.ts');
  return loadRecording(path, asked, reading);
}

async function loadCsv(path: string, asked: Asked, reading: Reading): Promise<TrainingData> {
  const described = await survey(path, reading);
  const { task, why, label, targets } = decide(described, asked);
  const csv = openCsv(
    path,
    {
      ...(label === undefined ? {} : { label }),
      targets,
      ...(asked.columns === undefined ? {} : { columns: asked.columns }),
    },
    described,
  );
  const store = new RowStore(path, csv.inputs, csv.targets);
  const progress = reading.newProgress({ what: 'reading', unit: 'bytes', total: csv.sizeBytes });
  let newestUs = -Infinity;
  let backwardsLine = 0;
  try {
    const more = (): boolean =>
      csv.read((row) => {
        store.add(row.values, row.label, row.targets);
        if (row.timeUs[0] < newestUs && backwardsLine === 0) backwardsLine = row.line;
        if (row.timeUs[0] === row.timeUs[0]) newestUs = row.timeUs[0];
      }, RECORDS_AT_ONCE);
    while (more()) await breathe(reading, progress, csv.bytesRead);
  } finally {
    csv.close();
    progress.end();
  }
  const notes = [why, ...leftOut(described, csv.inputs, [label, csv.time, ...targets])];
  if (csv.time !== undefined) notes.push(`"${csv.time}" is the time of a row, and no input.`);
  if (backwardsLine > 0) {
    notes.push(`Time runs backwards at line ${backwardsLine}; rows are taken in the order of the file.`);
  }
  return { task, data: store.dataSet(csv.classes), notes, dropped: csv.dropped };
}

async function survey(path: string, reading: Reading): Promise<CsvDescription> {
  const surveying = new CsvSurvey(path);
  const progress = reading.newProgress({ what: 'looking', unit: 'bytes', total: surveying.sizeBytes });
  try {
    while (surveying.read(RECORDS_AT_ONCE)) await breathe(reading, progress, surveying.bytesRead);
    return surveying.describe();
  } finally {
    surveying.close();
    progress.end();
  }
}

/** Lets signals and the screen have their turn. */
export async function breathe(reading: Reading, progress: Progress, done: number): Promise<void> {
  progress.update(done);
  await nextTurn();
  if (reading.isEnded()) throw new Interrupted();
}

interface Decision {
  readonly task: Task;
  readonly why: string;
  readonly label: string | undefined;
  readonly targets: readonly string[];
}

/** Classes if it is a text or a few integers, else numbers; unless the task is given. */
function decide(described: CsvDescription, { task, label, targets }: Asked): Decision {
  const names = label === undefined ? (targets ?? []) : [label];
  if (names.length === 0) {
    const kinds = described.columns.map(({ name, kind }) => `${name} (${kind})`).join(', ');
    throw usage(
      `expected what is to be predicted: --label for classes, --target for numbers. ${described.path} has ${kinds}`,
    );
  }
  const columns = names.map((name) => columnOf(described, name));
  const [column] = columns;
  const quoted = names.map((name) => `"${name}"`).join(', ');
  const found = label === undefined ? 'regress' : taskOf(column);
  const decided = task ?? found;
  if (decided === 'classify' && columns.length > 1) {
    throw usage(`expected one column of classes, got ${names.length}; or --task regress`);
  }
  const whatFor = decided === 'classify' ? 'classes' : 'numbers';
  const because = task === undefined ? reasonOf(column, label !== undefined) : '--task says so';
  const why = `${quoted} ${columns.length === 1 ? 'is' : 'are'} taken as ${whatFor}: ${because}.`;
  return decided === 'classify'
    ? { task: decided, why, label: column.name, targets: [] }
    : { task: decided, why, label: undefined, targets: names };
}

function columnOf({ path, columns }: CsvDescription, name: string): CsvColumn {
  const column = columns.find((one) => one.name === name);
  if (column !== undefined) return column;
  const known = columns.map((one) => one.name).join(', ');
  throw usage(`${path}: expected one of its columns, ${known}; got "${name}"`);
}

function isFew({ integers, distinct }: CsvColumn): boolean {
  return integers && distinct <= FEW_INTEGERS;
}

function taskOf(column: CsvColumn): Task {
  return column.kind === 'number' && !isFew(column) ? 'regress' : 'classify';
}

function reasonOf(column: CsvColumn, isLabel: boolean): string {
  if (!isLabel) return '--target names it';
  if (column.kind !== 'number') return 'it holds texts';
  if (isFew(column))
    return `it holds ${column.distinct} different integers (--task regress if it is a quantity)`;
  return 'it holds many different numbers (--task classify if they are names)';
}

function leftOut(
  { columns }: CsvDescription,
  inputs: readonly string[],
  used: readonly (string | undefined)[],
): string[] {
  const others = columns.filter(({ name }) => !inputs.includes(name) && !used.includes(name));
  if (others.length === 0) return [];
  const WORDS = {
    number: 'numbers',
    text: 'texts',
    time: 'times',
    counter: 'row numbers',
    empty: 'no values',
  };
  return [`Not used: ${others.map(({ name, kind }) => `${name} (${WORDS[kind]})`).join(', ')}.`];
}

export function usage(sentence: string): EdgeloopError {
  return new EdgeloopError('ELOOP_CONFIG', `edgeloop train: ${sentence}. Try --help.`);
}
