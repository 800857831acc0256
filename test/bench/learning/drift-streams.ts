/**
 * Drifts made from wisdm (43 features of a phone in a pocket, six activities, 36 users) by seeded script. Rows are
 * drawn with replacement, so that a stream can be as long as it likes; what changes, changes at row `changeAt`:
 *
 *     swapped labels   walking and jogging change names
 *     gradual          the same, for a share of the rows that grows from 0 to 1 over 1,000 rows
 *     turned axes      the phone lies otherwise: x is called y, y z, z x
 *     new users        half of the users before, the other half after
 *     stationary       nothing
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mulberry32 } from '../../../src/engine/random.ts';
import { DATA } from './anomaly-sets.ts';

export interface Labelled {
  readonly columns: number;
  readonly classes: number;
  readonly rows: number;
  /** [rows x columns]; NaN where missing. */
  readonly values: Float32Array;
  readonly labels: Uint8Array;
}

export const DRIFT_KINDS = ['swapped labels', 'gradual', 'turned axes', 'new users'] as const;
export type DriftKind = (typeof DRIFT_KINDS)[number] | 'stationary';

const GRADUAL_ROWS = 1000;
const WALKING = 0;
const JOGGING = 1;

export interface Wisdm extends Labelled {
  readonly users: Uint8Array;
  /** Of column c the column that holds the same of the next axis. */
  readonly nextAxis: Int32Array;
}

export const WISDM_FILE = 'wisdm/wisdm.csv';
export const ELEC2_FILE = 'elec2/elec2.csv';

function readCells(file: string): { header: string[]; cells: string[][] } {
  const lines = readFileSync(join(DATA, file), 'utf8').trimEnd().split(/\r?\n/);
  return { header: lines[0].split(','), cells: lines.slice(1).map((line) => line.split(',')) };
}

function toNumber(cell: string): number {
  return cell === '' ? NaN : Number(cell);
}

export function readWisdm(): Wisdm {
  const { header, cells } = readCells(WISDM_FILE);
  const names = header.slice(1, -1);
  return {
    columns: names.length,
    classes: 6,
    rows: cells.length,
    values: Float32Array.from(cells.flatMap((row) => row.slice(1, -1).map(toNumber))),
    labels: Uint8Array.from(cells, (row) => Number(row.at(-1))),
    users: Uint8Array.from(cells, (row) => Number(row[0])),
    nextAxis: Int32Array.from(names, (name) => {
      const turned = names.indexOf({ X: 'Y', Y: 'Z', Z: 'X' }[name[0]] + name.slice(1));
      return turned < 0 ? names.indexOf(name) : turned;
    }),
  };
}

export function readElec2(): Labelled {
  const { header, cells } = readCells(ELEC2_FILE);
  return {
    columns: header.length - 1,
    classes: 2,
    rows: cells.length,
    values: Float32Array.from(cells.flatMap((row) => row.slice(0, -1).map(toNumber))),
    labels: Uint8Array.from(cells, (row) => Number(row.at(-1) === 'UP')),
  };
}

/** A stream of `rows` rows. */
export function drifting(
  wisdm: Wisdm,
  kind: DriftKind,
  rows: number,
  changeAt: number,
  seed: number,
): Labelled {
  const { columns, classes } = wisdm;
  const random = mulberry32(seed);
  const secondHalf = halfOfUsers(wisdm, random);
  const values = new Float32Array(rows * columns);
  const labels = new Uint8Array(rows);
  for (let row = 0; row < rows; row++) {
    const changed = row >= changeAt;
    const half = kind === 'new users' ? Number(changed) : undefined;
    const from = drawRow(wisdm, random, secondHalf, half);
    const swapped =
      (kind === 'swapped labels' && changed) ||
      (kind === 'gradual' && random() < (row - changeAt) / GRADUAL_ROWS);
    const label = wisdm.labels[from];
    labels[row] = swapped && (label === WALKING || label === JOGGING) ? JOGGING - label : label;
    for (let c = 0; c < columns; c++) {
      const source = kind === 'turned axes' && changed ? wisdm.nextAxis[c] : c;
      values[row * columns + c] = wisdm.values[from * columns + source];
    }
  }
  return { columns, classes, rows, values, labels };
}

/** @param half of the users that the row is to be of; undefined: of any */
function drawRow(
  wisdm: Wisdm,
  random: () => number,
  secondHalf: Uint8Array,
  half: number | undefined,
): number {
  for (;;) {
    const row = Math.floor(random() * wisdm.rows);
    if (half === undefined || secondHalf[wisdm.users[row]] === half) return row;
  }
}

/** 1 at the number of every user of the second half. */
function halfOfUsers({ users }: Wisdm, random: () => number): Uint8Array {
  const names = [...new Set(users)];
  for (let i = names.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [names[i], names[j]] = [names[j], names[i]];
  }
  const second = new Uint8Array(256);
  for (const user of names.slice(names.length >> 1)) second[user] = 1;
  return second;
}
