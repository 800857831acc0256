/**
 * Faults put into a clean series by a seeded script. Sizes are in deviations of the channel over the whole series;
 * a fault hits one channel:
 *
 *     offset  24 .. 72 rows   + 2 .. 4 deviations, up or down
 *     spike    1 .. 3 rows    + 4 .. 8 deviations
 *     drift   72 .. 144 rows  a ramp from 0 to 2 .. 4 deviations
 *     noise   24 .. 72 rows   + normal noise of 1 deviation
 *     gain    24 .. 72 rows   distance from the mean times 1.5 .. 2.5
 *     stuck   24 .. 72 rows   the value before it
 *
 * Kinds take turns. Between two faults lie 300 .. 700 rows, and the learn phase has none.
 */
import { mulberry32 } from '../../../src/engine/random.ts';

export const FAULT_KINDS = ['offset', 'spike', 'drift', 'noise', 'gain', 'stuck'] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  readonly kind: FaultKind;
  readonly column: number;
  /** First row, and the row after the last. */
  readonly begin: number;
  readonly end: number;
}

export interface Series {
  readonly columns: number;
  readonly rows: number;
  /** [rows x columns]; NaN where missing. */
  readonly values: Float32Array;
}

export interface FaultySeries extends Series {
  readonly faults: readonly Fault[];
}

const ROWS: { readonly [K in FaultKind]: readonly [number, number] } = {
  offset: [24, 72],
  spike: [1, 3],
  drift: [72, 144],
  noise: [24, 72],
  gain: [24, 72],
  stuck: [24, 72],
};
const QUIET_ROWS: readonly [number, number] = [300, 700];

export function withFaults(clean: Series, quietRows: number, seed: number): FaultySeries {
  const random = mulberry32(seed);
  const integer = ([min, max]: readonly [number, number]) => min + Math.floor(random() * (max - min + 1));
  const statistics = Array.from({ length: clean.columns }, (_, column) => meanAndDeviation(clean, column));
  const series = { ...clean, values: clean.values.slice() };
  const faults: Fault[] = [];
  const first = Math.floor(random() * FAULT_KINDS.length);
  for (let begin = quietRows + integer(QUIET_ROWS); ;) {
    const kind = FAULT_KINDS[(first + faults.length) % FAULT_KINDS.length];
    const end = begin + integer(ROWS[kind]);
    const column = Math.floor(random() * clean.columns);
    if (end >= clean.rows) return { ...series, faults };
    const fault = { kind, column, begin, end };
    put(series, fault, statistics[column], random);
    faults.push(fault);
    begin = end + integer(QUIET_ROWS);
  }
}

function put(
  { values, columns }: Series,
  { kind, column, begin, end }: Fault,
  [mean, deviation]: [number, number],
  random: () => number,
): void {
  const sign = random() < 0.5 ? -1 : 1;
  const size = random();
  const held = lastKnown(values, columns, column, begin - 1);
  for (let row = begin; row < end; row++) {
    const at = row * columns + column;
    const value = values[at];
    if (kind === 'offset') values[at] = value + sign * (2 + 2 * size) * deviation;
    else if (kind === 'spike') values[at] = value + sign * (4 + 4 * size) * deviation;
    else if (kind === 'drift')
      values[at] = value + (sign * (2 + 2 * size) * deviation * (row - begin + 1)) / (end - begin);
    else if (kind === 'noise') values[at] = value + deviation * normal(random);
    else if (kind === 'gain') values[at] = mean + (1.5 + size) * (value - mean);
    else values[at] = held;
  }
}

function lastKnown(values: Float32Array, columns: number, column: number, row: number): number {
  while (row > 0 && Number.isNaN(values[row * columns + column])) row -= 1;
  return values[row * columns + column];
}

function meanAndDeviation({ values, rows, columns }: Series, column: number): [number, number] {
  const known = Array.from({ length: rows }, (_, row) => values[row * columns + column]).filter(
    (value) => !Number.isNaN(value),
  );
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
  return [mean, Math.sqrt(known.reduce((sum, value) => sum + (value - mean) ** 2, 0) / known.length)];
}

/** Box and Muller's, the cosine half. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
