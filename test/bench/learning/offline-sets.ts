/**
 * The offline tasks of the public sets, as PROTOCOL.md beside them has them: which rows are learned from, which are the
 * test, what the inputs are.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mulberry32 } from '../../../src/engine/random.ts';
import { type CsvSelection, openCsv } from '../../../src/files/csv.ts';
import { type OfflineData, shuffleRows } from '../../../src/learn/offline.ts';

export const DATA = process.env.EDGELOOP_DATA ?? '../shared/data';

/** What the JSON files under reference/ have of one network at all its learning rates. */
export interface ReferenceCell {
  readonly task: string;
  readonly kind: string;
  readonly act: 'tanh' | 'relu' | 'sigmoid';
  readonly H: number;
  readonly epochs: number;
  readonly batch: number;
  readonly n_train: number;
  /** By learning rate, then by test: [mean, deviation] of an accuracy, or of numbers by metric. */
  readonly grid: Record<string, Record<string, [number, number] | Record<string, [number, number]>>>;
}

/** @returns undefined where the sets are not there */
export function readReferences(): ReferenceCell[] | undefined {
  const files = ['occ', 'elec', 'wisdm', 'ett', 'airq'].map((name) =>
    join(DATA, 'reference', `${name}.json`),
  );
  if (!files.every((file) => existsSync(file))) return undefined;
  const cells = files.flatMap((file) => JSON.parse(readFileSync(file, 'utf8')) as ReferenceCell[]);
  return cells.filter(({ kind }) => kind === 'offline');
}

/** A task with what its tests are: rows of `data.rows` from `first` to `end`. */
export interface OfflineSet {
  readonly data: OfflineData;
  readonly inputs: number;
  /** Classes, or 1 for numbers. */
  readonly outputs: number;
  readonly tests: readonly { readonly name: string; readonly first: number; readonly end: number }[];
  /** Units to one standardised target; undefined: to be found by standardising, as the inputs are. */
  readonly unit?: number;
}

export function loadSet(task: string): OfflineSet {
  if (task === 'occupancy') return occupancy();
  if (task.startsWith('elec2')) return elec2();
  if (task.startsWith('wisdm')) return wisdm(task === 'wisdm_users');
  if (task.startsWith('etth1')) return etth1(task === 'etth1_h1' ? 1 : 24);
  return airquality(task.endsWith('CO_GT') ? 'CO_GT' : 'NOx_GT', task.includes('shuffled'));
}

interface Columns {
  readonly inputs: readonly string[];
  readonly rows: number;
  /** [n x inputs] */
  readonly values: Float32Array;
  readonly labels: Int32Array;
  readonly targets: Float32Array;
}

/** @param target columns that are read beside the inputs */
function readColumns(file: string, selection: CsvSelection): Columns {
  const csv = openCsv(join(DATA, file), { ...selection, time: false });
  const values: number[] = [];
  const labels: number[] = [];
  const targets: number[] = [];
  csv.forEachRow((row) => {
    values.push(...row.values);
    targets.push(...row.targets);
    if (csv.label !== undefined) labels.push(row.label);
  });
  return {
    inputs: csv.inputs,
    rows: csv.rows,
    values: Float32Array.from(values),
    labels: Int32Array.from(labels),
    targets: Float32Array.from(targets),
  };
}

const NO_NUMBERS = new Float32Array(0);
const NO_LABELS = new Int32Array(0);

function numbersUpTo(count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, index) => index);
}

/** The permutation by which a set is shuffled once, before it is split. */
function shuffled(rows: Int32Array, seed: number): Int32Array {
  const order = new Int32Array(rows.length);
  shuffleRows(order, rows, mulberry32(seed));
  return order;
}

function classSet(
  { values, labels, inputs }: Columns,
  outputs: number,
  rows: Int32Array,
  trainRows: number,
  tests: OfflineSet['tests'],
): OfflineSet {
  const data = { inputs: values, labels, targets: NO_NUMBERS, rows, trainRows };
  return { data, inputs: inputs.length, outputs, tests };
}

function occupancy(): OfflineSet {
  const columns = readColumns('occupancy/occupancy.csv', {
    columns: ['Temperature', 'Humidity', 'Light', 'CO2', 'HumidityRatio'],
    label: 'Occupancy',
    targets: ['part'],
    classes: ['0', '1'],
  });
  const ofPart = [0, 1, 2].map((part) =>
    numbersUpTo(columns.rows).filter((row) => columns.targets[row] === part),
  );
  const [train, test1, test2] = ofPart.map(({ length }) => length);
  return classSet(columns, 2, Int32Array.from(ofPart.flatMap((rows) => [...rows])), train, [
    { name: 'test1', first: train, end: train + test1 },
    { name: 'test2', first: train + test1, end: train + test1 + test2 },
  ]);
}

function elec2(): OfflineSet {
  const train = 31_718;
  const columns = readColumns('elec2/elec2.csv', { label: 'class', classes: ['DOWN', 'UP'] });
  const test = { name: 'test', first: train, end: columns.rows };
  return classSet(columns, 2, numbersUpTo(columns.rows), train, [test]);
}

const WISDM_TRAIN_USERS = 28;
const WISDM_SHUFFLED_TRAIN = 3792;

function wisdm(byUsers: boolean): OfflineSet {
  const all = readColumns('wisdm/wisdm.csv', {
    label: 'label',
    targets: ['user'],
    classes: ['0', '1', '2', '3', '4', '5'],
  });
  const rows = numbersUpTo(all.rows);
  if (!byUsers) {
    const test = { name: 'test', first: WISDM_SHUFFLED_TRAIN, end: all.rows };
    return classSet(all, 6, shuffled(rows, 7), WISDM_SHUFFLED_TRAIN, [test]);
  }
  const isTrain = (row: number): boolean => all.targets[row] <= WISDM_TRAIN_USERS;
  const train = rows.filter((row) => isTrain(row));
  const order = Int32Array.from([...train, ...rows.filter((row) => !isTrain(row))]);
  return classSet(all, 6, order, train.length, [{ name: 'users29_36', first: train.length, end: all.rows }]);
}

function airquality(target: string, isShuffled: boolean): OfflineSet {
  const sensors = ['PT08_S1_CO', 'PT08_S2_NMHC', 'PT08_S3_NOx', 'PT08_S4_NO2', 'PT08_S5_O3', 'T', 'RH', 'AH'];
  const {
    values,
    targets,
    rows: all,
  } = readColumns('airquality/airquality.csv', {
    columns: sensors,
    targets: [target],
  });
  const D = sensors.length;
  const isWhole = (row: number): boolean =>
    !values.subarray(row * D, row * D + D).some((value) => Number.isNaN(value)) &&
    !Number.isNaN(targets[row]);
  const whole = numbersUpTo(all).filter((row) => isWhole(row));
  const rows = isShuffled ? shuffled(whole, 7) : whole;
  const train = Math.floor(0.7 * rows.length);
  const data = { inputs: values, labels: NO_LABELS, targets, rows, trainRows: train };
  return { data, inputs: D, outputs: 1, tests: [{ name: 'test', first: train, end: rows.length }] };
}

const ETT_HISTORY = 24;
const ETT_TRAIN = 8640;
const ETT_TEST_FIRST = 11_520;
const ETT_TEST_END = 14_400;

/** At row t: 24 values of OT and six loads, standardised by the train rows; how OT changes within `horizon` rows. */
function etth1(horizon: number): OfflineSet {
  const { values, rows: all } = readColumns('etth1/ETTh1.csv', {
    columns: ['OT', 'HUFL', 'HULL', 'MUFL', 'MULL', 'LUFL', 'LULL'],
  });
  const columns = 7;
  const { means, deviations } = statistics(values, columns, ETT_TRAIN);
  const z = (row: number, column: number): number =>
    (values[row * columns + column] - means[column]) / deviations[column];
  const D = ETT_HISTORY + columns - 1;
  const inputs = new Float32Array(all * D);
  const targets = new Float32Array(all);
  for (let t = ETT_HISTORY - 1; t + horizon < all; t++) {
    for (let k = 0; k < ETT_HISTORY; k++) inputs[t * D + k] = z(t - k, 0);
    for (let column = 1; column < columns; column++) inputs[t * D + ETT_HISTORY + column - 1] = z(t, column);
    targets[t] = (values[(t + horizon) * columns] - values[t * columns]) / deviations[0];
  }
  const between = (first: number, end: number): number[] =>
    Array.from({ length: end - horizon - first }, (_, index) => first + index);
  const train = between(ETT_HISTORY - 1, ETT_TRAIN);
  const rows = Int32Array.from([...train, ...between(ETT_TEST_FIRST, ETT_TEST_END)]);
  const data = { inputs, labels: NO_LABELS, targets, rows, trainRows: train.length };
  const test = { name: 'test', first: train.length, end: rows.length };
  return { data, inputs: D, outputs: 1, tests: [test], unit: deviations[0] };
}

/** Of the first `rows` rows, in float64; the deviation is that of the population. */
function statistics(values: Float32Array, columns: number, rows: number) {
  const means = new Float64Array(columns);
  const deviations = new Float64Array(columns);
  for (let column = 0; column < columns; column++) {
    for (let row = 0; row < rows; row++) means[column] += values[row * columns + column] / rows;
    for (let row = 0; row < rows; row++) {
      deviations[column] += (values[row * columns + column] - means[column]) ** 2 / rows;
    }
    deviations[column] = Math.sqrt(deviations[column]);
  }
  return { means, deviations };
}
