/** The public sensor sets as streams of rows, with the protocol's task for each. See the README of each set. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { mulberry32 } from '../../../src/engine/random.ts';

export const DATA = resolve(
  process.env.EDGELOOP_DATA ?? join(import.meta.dirname, '../../../../shared/data'),
);

/** Whether the sets are there; they are not part of this repository. */
export function haveSets(): boolean {
  return existsSync(join(DATA, 'PROTOCOL.md'));
}

export const SET_NAMES = [
  'occupancy',
  'elec2',
  'wisdm',
  'wisdm-shuffled',
  'air-co',
  'air-nox',
  'etth1-1h',
  'etth1-24h',
] as const;
export type SetName = (typeof SET_NAMES)[number];

export interface SensorSet {
  readonly name: SetName;
  readonly task: 'classify' | 'regress' | 'forecast';
  /** Values per row. */
  readonly columns: number;
  /** [rows x columns]; NaN is missing. In shared memory. */
  readonly values: Float32Array;
  /** [rows], class index or −1; all −1 where the targets are columns. */
  readonly labels: Int32Array;
  readonly classes: number;
  readonly targets: readonly number[];
  readonly horizonRows: number;
}

interface Table {
  readonly names: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

function readTable(file: string): Table {
  const lines = readFileSync(join(DATA, file), 'utf8').trimEnd().split(/\r?\n/);
  return { names: lines[0].split(','), rows: lines.slice(1).map((line) => line.split(',')) };
}

function numberOf(cell: string): number {
  return cell === '' ? NaN : Number(cell);
}

export function loadSet(name: SetName): SensorSet {
  switch (name) {
    case 'occupancy':
      return classes(name, readTable('occupancy/occupancy.csv'), 'Occupancy', ['date', 'part']);
    case 'elec2':
      return classes(name, readTable('elec2/elec2.csv'), 'class', []);
    case 'wisdm':
      return classes(name, readTable('wisdm/wisdm.csv'), 'label', ['user']);
    case 'wisdm-shuffled': {
      const { names, rows } = readTable('wisdm/wisdm.csv');
      const order = shuffledOrder(rows.length, 7);
      return classes(name, { names, rows: order.map((row) => rows[row]) }, 'label', ['user']);
    }
    case 'air-co':
      return airQuality(name, 'CO_GT');
    case 'air-nox':
      return airQuality(name, 'NOx_GT');
    case 'etth1-1h':
      return transformer(name, 1);
    case 'etth1-24h':
      return transformer(name, 24);
  }
}

/** The protocol's shuffle: indices 0 .. count − 1. */
export function shuffledOrder(count: number, seed: number): number[] {
  const order = Array.from({ length: count }, (_, index) => index);
  const random = mulberry32(seed);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

function shared(count: number): Float32Array {
  return new Float32Array(new SharedArrayBuffer(4 * count));
}

function valuesOf({ names, rows }: Table, columns: readonly string[]): Float32Array {
  const at = columns.map((name) => names.indexOf(name));
  const values = shared(rows.length * columns.length);
  for (const [row, cells] of rows.entries()) {
    for (const [column, index] of at.entries()) values[row * at.length + column] = numberOf(cells[index]);
  }
  return values;
}

function classes(name: SetName, table: Table, label: string, leftOut: readonly string[]): SensorSet {
  const columns = table.names.filter((column) => column !== label && !leftOut.includes(column));
  const labelAt = table.names.indexOf(label);
  const words = [...new Set(table.rows.map((cells) => cells[labelAt]))].sort();
  const labels = new Int32Array(new SharedArrayBuffer(4 * table.rows.length));
  for (const [row, cells] of table.rows.entries()) labels[row] = words.indexOf(cells[labelAt]);
  const values = valuesOf(table, columns);
  const task = { task: 'classify', targets: [], horizonRows: 0 } as const;
  return { name, ...task, columns: columns.length, values, labels, classes: words.length };
}

const AIR_COLUMNS = 'PT08_S1_CO PT08_S2_NMHC PT08_S3_NOx PT08_S4_NO2 PT08_S5_O3 T RH AH'.split(' ');

/** Rows in which all sensors and the target are there. */
function airQuality(name: SetName, target: string): SensorSet {
  const { names, rows } = readTable('airquality/airquality.csv');
  const columns = [...AIR_COLUMNS, target];
  const at = columns.map((column) => names.indexOf(column));
  const complete = rows.filter((cells) => at.every((index) => cells[index] !== ''));
  const values = valuesOf({ names, rows: complete }, columns);
  return numbers(name, 'regress', columns.length, values, [columns.length - 1], 0);
}

function transformer(name: SetName, horizonRows: number): SensorSet {
  const columns = ['HUFL', 'HULL', 'MUFL', 'MULL', 'LUFL', 'LULL', 'OT'];
  const values = valuesOf(readTable('etth1/ETTh1.csv'), columns);
  return numbers(name, 'forecast', columns.length, values, [columns.length - 1], horizonRows);
}

function numbers(
  name: SetName,
  task: 'regress' | 'forecast',
  columns: number,
  values: Float32Array,
  targets: readonly number[],
  horizonRows: number,
): SensorSet {
  const labels = new Int32Array(new SharedArrayBuffer((4 * values.length) / columns)).fill(-1);
  return { name, task, columns, values, labels, classes: 0, targets, horizonRows };
}
