import { describe, expect, it } from 'vitest';
import { ArenaPlan } from '../../src/engine/arena.ts';
import { mulberry32 } from '../../src/engine/random.ts';
import {
  FEATURE_KINDS,
  type FeatureKind,
  type FeatureSpec,
  type Inputs,
  type InputsConfig,
  breakWindow,
  inputCount,
  openInputs,
  planInputs,
  takeRow,
} from '../../src/stream/inputs.ts';
import { naiveFeature } from '../support/naive-features.ts';

const COLUMNS = 3;
const WINDOWS = [1, 2, 3, 5, 8, 16, 100];
const NEED_TWO_ROWS: readonly FeatureKind[] = ['deviation', 'zeroCrossings', 'slope', 'bands'];

/** All that a window of so many rows can give, of the last and the first column. */
function allFeatures(windowRows: number): FeatureSpec[] {
  const kinds = FEATURE_KINDS.filter((kind) => windowRows > 1 || !NEED_TWO_ROWS.includes(kind));
  const half = 2 ** Math.floor(Math.log2(windowRows)) / 2;
  return [2, 0].flatMap((column) =>
    kinds.map((kind) =>
      kind === 'bands' ? { column, kind, bands: Math.max(1, Math.min(half, 3)) } : { column, kind },
    ),
  );
}

function makeInputs(config: InputsConfig): Inputs {
  const plan = new ArenaPlan();
  const parts = planInputs(plan, config);
  return openInputs(plan.allocate().buffer, config, parts);
}

function configOf(windowRows: number, hopRows: number, features = allFeatures(windowRows)): InputsConfig {
  return { columns: COLUMNS, windowRows, hopRows, features, breakAtLabelChange: false, clip: 5 };
}

/** Noise on steps and ramps far from 0, with values missing alone and in bursts. */
function makeRows(count: number, seed: number): Float32Array {
  const random = mulberry32(seed);
  const rows = new Float32Array(count * COLUMNS);
  for (let column = 0; column < COLUMNS; column++) {
    let level = 0;
    let missing = 0;
    for (let row = 0; row < count; row++) {
      if (random() < 0.02) level = 200 * random() - 100;
      if (random() < 0.01) missing = Math.floor(random() * 12);
      level += 0.01 * random();
      const there = missing-- <= 0 && random() > 0.05;
      rows[row * COLUMNS + column] = there ? level + random() - 0.5 : NaN;
    }
  }
  return rows;
}

function windowOf(rows: Float32Array, newest: number, windowRows: number, column: number): number[] {
  return Array.from({ length: windowRows }, (_, i) => rows[(newest - windowRows + 1 + i) * COLUMNS + column]);
}

/** Values of the rows are below 200; what is rounded is so small beside them, or beside the result. */
function expectClose(actual: number, expected: number, what: string): void {
  if (Number.isNaN(expected)) expect(actual, what).toBeNaN();
  else expect(Math.abs(actual - expected), what).toBeLessThanOrEqual(2e-7 * Math.abs(expected) + 2e-10);
}

describe('features of a window', () => {
  const cases = WINDOWS.flatMap((windowRows) =>
    [...new Set([1, 3, windowRows])].map((hopRows) => ({ windowRows, hopRows })),
  );

  it.each(cases)(
    'are what they are defined to be: $windowRows rows, hop $hopRows',
    ({ windowRows, hopRows }) => {
      const config = configOf(windowRows, hopRows);
      const inputs = makeInputs(config);
      const rows = makeRows(1500, 100 * windowRows + hopRows);
      let samples = 0;
      let missing = 0;
      for (let row = 0; row < 1500; row++) {
        const due = row >= windowRows - 1 && (row - windowRows + 1) % hopRows === 0;
        expect(takeRow(inputs, rows, row * COLUMNS)).toBe(due ? 1 : 0);
        if (!due) continue;
        samples += 1;
        const expected = config.features.flatMap((spec) =>
          naiveFeature(spec, windowOf(rows, row, windowRows, spec.column)),
        );
        expect(expected.length).toBe(inputCount(config));
        missing += expected.filter(Number.isNaN).length;
        for (const [i, value] of expected.entries()) {
          expectClose(inputs.raw[i], value, `row ${row}, input ${i}`);
        }
      }
      expect(samples).toBeGreaterThan(10);
      expect(missing).toBeGreaterThan(0);
    },
  );

  it('are exactly 0 where a column stands still, wherever it stands, and after it has jumped', () => {
    const specs = (['deviation', 'slope', 'zeroCrossings', 'bands'] as const).map((kind) => ({
      column: 0,
      kind,
      bands: 2,
    }));
    const inputs = makeInputs(configOf(7, 1, specs));
    const row = new Float32Array(COLUMNS);
    for (const level of [0.1, 12_345.678, -3e30, 1 / 3]) {
      row[0] = level;
      for (let i = 0; i < 14; i++) {
        const due = takeRow(inputs, row, 0);
        if (i >= 6 && due === 1) expect([...inputs.raw]).toEqual([0, 0, 0, 0, 0]);
      }
    }
  });

  it('keep a small noise apart from a large offset', () => {
    const inputs = makeInputs(configOf(64, 1, [{ column: 0, kind: 'deviation' }]));
    const random = mulberry32(4);
    const window: number[] = [];
    for (let i = 0; i < 500; i++) {
      const value = Math.fround(1e6 + random());
      window.push(value);
      if (takeRow(inputs, Float32Array.of(value, 0, 0), 0) === 0) continue;
      const [expected] = naiveFeature({ column: 0, kind: 'deviation' }, window.slice(-64));
      expect(Math.abs(inputs.raw[0] / expected - 1)).toBeLessThan(1e-6);
    }
  });

  it('count crossings of the mean, not of 0; a value on the mean is on neither side', () => {
    const inputs = makeInputs(configOf(8, 8, [{ column: 0, kind: 'zeroCrossings' }]));
    for (const x of [101, 99, 100, 99, 101, 100, 101, 99]) takeRow(inputs, Float32Array.of(x, 0, 0), 0);
    expect(inputs.raw[0]).toBe(3);
  });

  it('have after a million rows the bits that they have after two windows: nothing is left of older rows', () => {
    const windowRows = 100;
    const config = configOf(windowRows, 1);
    const inputs = makeInputs(config);
    const rows = makeRows(10_000, 9);
    for (let row = 0; row < 1_000_000; row++) takeRow(inputs, rows, (row % 10_000) * COLUMNS);
    const fresh = makeInputs(config);
    for (let row = 10_000 - 2 * windowRows; row < 10_000; row++) takeRow(fresh, rows, row * COLUMNS);
    expect(inputs.raw).toEqual(fresh.raw);
    expect(inputs.raw.filter((value) => value === value).length).toBeGreaterThan(150);
  });

  it('see nothing of what was before a break', () => {
    for (const hopRows of [1, 16]) {
      const config = configOf(16, hopRows);
      const [inputs, fresh] = [makeInputs(config), makeInputs(config)];
      const rows = makeRows(300, 21);
      for (let row = 0; row < 139; row++) takeRow(inputs, rows, row * COLUMNS);
      breakWindow(inputs);
      for (let row = 139; row < 300; row++) {
        const due = takeRow(inputs, rows, row * COLUMNS);
        expect(takeRow(fresh, rows, row * COLUMNS)).toBe(due);
        if (due === 1) expect(inputs.raw).toEqual(fresh.raw);
      }
    }
  });
});
