import { describe, expect, it } from 'vitest';
import { ArenaPlan } from '../../src/engine/arena.ts';
import { mulberry32 } from '../../src/engine/random.ts';
import { EdgeloopError } from '../../src/errors.ts';
import {
  FEATURE_KINDS,
  type FeatureSpec,
  type Inputs,
  type InputsConfig,
  breakWindow,
  inputCount,
  inputNames,
  openInputs,
  planInputs,
  standardise,
  takeLabel,
  takeRow,
} from '../../src/stream/inputs.ts';
import { NO_LABEL } from '../../src/stream/ring.ts';
import { freezeScaler } from '../../src/stream/scaler.ts';
import { heapBytesPerCall } from '../support/heap.ts';

const PLAIN: InputsConfig = {
  columns: 1,
  windowRows: 1,
  hopRows: 1,
  features: [{ column: 0, kind: 'newest' }],
  breakAtLabelChange: false,
  clip: 5,
};

/** Everything of two of three columns, with plain values between the features. */
const EVERYTHING: InputsConfig = {
  columns: 3,
  windowRows: 24,
  hopRows: 5,
  features: [2, 0].flatMap((column) => FEATURE_KINDS.map((kind) => ({ column, kind, bands: 3 }))),
  breakAtLabelChange: true,
  clip: 5,
};

function makeInputs(changes: Partial<InputsConfig> = {}): Inputs & { bytes: Uint8Array } {
  return openIn(planned({ ...PLAIN, ...changes }));
}

function planned(config: InputsConfig) {
  const plan = new ArenaPlan();
  const parts = planInputs(plan, config);
  return { config, parts, buffer: new ArrayBuffer(plan.sizeBytes) };
}

function openIn({ config, parts, buffer }: ReturnType<typeof planned>): Inputs & { bytes: Uint8Array } {
  return { ...openInputs(buffer, config, parts), bytes: new Uint8Array(buffer) };
}

function feed(inputs: Inputs, ...values: number[]): number {
  return takeRow(inputs, Float32Array.from(values), 0);
}

function scaledOf(inputs: Inputs, raw = inputs.raw): number[] {
  const scaled = new Float32Array(raw.length);
  standardise(inputs, raw, 0, scaled, 0);
  return [...scaled];
}

/** Which of so many rows, whose values count up from 0, give a sample. */
function dueRows(inputs: Inputs, rows: number): number[] {
  return Array.from({ length: rows }, (_, row) => row).filter((row) => feed(inputs, row) === 1);
}

/** Noise with missing and extreme values. */
function makeRows(count: number, columns: number, seed: number): Float32Array {
  const random = mulberry32(seed);
  return Float32Array.from({ length: count * columns }, () => {
    if (random() < 0.05) return [NaN, Infinity, 1e30, -0][Math.floor(4 * random())];
    return 10 * random() - 3;
  });
}

describe('plain inputs', () => {
  it('are z = (x − mean)/deviation of everything seen, this row included, cut off at ±5: to the bit', () => {
    const columns = 4;
    const features = Array.from({ length: columns }, (_, column): FeatureSpec => ({
      column,
      kind: 'newest',
    }));
    const inputs = makeInputs({ columns, features });
    const [count, mean, m2] = [0, 1, 2].map(() => new Float64Array(columns));
    const random = mulberry32(5);
    let cut = 0;
    for (let row = 0; row < 5000; row++) {
      const values = Float32Array.from({ length: columns }, (_, c) =>
        random() < 0.1 ? NaN : random() ** (9 * c),
      );
      expect(takeRow(inputs, values, 0)).toBe(1);
      const expected = new Float32Array(columns);
      for (const [c, x] of values.entries()) {
        if (Number.isNaN(x)) continue;
        const distance = x - mean[c];
        count[c] += 1;
        mean[c] += distance / count[c];
        m2[c] += distance * (x - mean[c]);
        const deviation = Math.sqrt(m2[c] / count[c]);
        const z = deviation > 0 ? (x - mean[c]) / deviation : 0;
        expected[c] = Math.min(Math.max(z, -5), 5);
        if (Math.abs(z) > 5) cut += 1;
      }
      expect(scaledOf(inputs)).toEqual([...expected]);
      expect(inputs.raw).toEqual(values);
    }
    expect(cut).toBeGreaterThan(10);
  });

  it('are cut off where the config says, or not at all', () => {
    for (const [clip, expected] of [
      [2, 2],
      [Infinity, Math.sqrt(99)],
    ] as const) {
      const inputs = makeInputs({ clip });
      for (let row = 0; row < 99; row++) feed(inputs, 0);
      feed(inputs, 1);
      expect(scaledOf(inputs)[0]).toBeCloseTo(expected, 5);
    }
  });

  it('of a window are oldest first and share the statistics of their column, which every row updates', () => {
    const inputs = makeInputs({
      columns: 2,
      windowRows: 3,
      features: [
        { column: 1, kind: 'raw' },
        { column: 0, kind: 'newest' },
        { column: 1, kind: 'newest' },
      ],
    });
    expect(feed(inputs, 5, 1)).toBe(0);
    expect(feed(inputs, 6, NaN)).toBe(0);
    expect(feed(inputs, 7, 3)).toBe(1);
    expect([...inputs.raw]).toEqual([1, NaN, 3, 7, 3]);
    expect(scaledOf(inputs)).toEqual([-1, 0, 1, Math.fround(Math.sqrt(1.5)), 1]);
    expect(feed(inputs, 8, 5)).toBe(1);
    expect([...inputs.raw]).toEqual([NaN, 3, 5, 8, 5]);
    expect(inputs.scaler.count.slice()).toEqual(Float64Array.of(4, 3));
    expect(inputs.scaler.mean[1]).toBe(3);
  });

  it('kept from earlier are standardised with the statistics of now, from where they lie', () => {
    const inputs = makeInputs();
    feed(inputs, 1);
    const kept = Float32Array.of(9, 9, inputs.raw[0]);
    feed(inputs, 3);
    const scaled = new Float32Array(3);
    standardise(inputs, kept, 2, scaled, 1);
    expect([...scaled]).toEqual([0, -1, 0]);
  });

  it('take what is not finite for missing', () => {
    const inputs = makeInputs();
    for (const value of [1, 2, Infinity]) feed(inputs, value);
    expect([...inputs.raw]).toEqual([NaN]);
    expect(scaledOf(inputs)).toEqual([0]);
    expect(inputs.scaler.count[0]).toBe(2);
  });

  it('are read from where the row starts', () => {
    const inputs = makeInputs({ columns: 2, features: [{ column: 1, kind: 'newest' }] });
    takeRow(inputs, Float32Array.of(9, 9, 9, 4, 5), 3);
    expect([...inputs.raw]).toEqual([5]);
    expect([...inputs.scaler.mean]).toEqual([4, 5]);
  });
});

describe('features', () => {
  it('have statistics of their own, updated by samples, not by rows', () => {
    const features: FeatureSpec[] = [
      { column: 0, kind: 'max' },
      { column: 0, kind: 'newest' },
      { column: 0, kind: 'mean' },
    ];
    const inputs = makeInputs({ windowRows: 2, hopRows: 2, features });
    for (const value of [1, 3, NaN, NaN, 5, 7]) feed(inputs, value);
    expect(inputs.scaler.count.slice()).toEqual(Float64Array.of(4, 2, 2));
    expect(inputs.scaler.mean.slice()).toEqual(Float64Array.of(4, 5, 4));
    expect(scaledOf(inputs)).toEqual([1, Math.fround(3 / Math.sqrt(5)), 1]);
  });

  it('move while frozen statistics do not', () => {
    const inputs = makeInputs({ windowRows: 2, features: [{ column: 0, kind: 'mean' }] });
    for (const value of [1, 3, 5]) feed(inputs, value);
    freezeScaler(inputs.scaler);
    const before = [...inputs.scaler.count, ...inputs.scaler.mean, ...inputs.scaler.m2];
    expect(feed(inputs, 7)).toBe(1);
    expect(inputs.raw[0]).toBe(6);
    expect([...inputs.scaler.count, ...inputs.scaler.mean, ...inputs.scaler.m2]).toEqual(before);
    expect(scaledOf(inputs)).toEqual([3]); // means 2 and 4 were seen
  });
});

describe('the window', () => {
  const raw: FeatureSpec[] = [{ column: 0, kind: 'raw' }];

  it('gives a sample when it has filled and then every hop', () => {
    expect(dueRows(makeInputs({ windowRows: 3, hopRows: 1, features: raw }), 6)).toEqual([2, 3, 4, 5]);
    expect(dueRows(makeInputs({ windowRows: 3, hopRows: 3, features: raw }), 9)).toEqual([2, 5, 8]);
    expect(dueRows(makeInputs({ windowRows: 2, hopRows: 5, features: raw }), 12)).toEqual([1, 6, 11]);
    expect(dueRows(makeInputs({ windowRows: 3, hopRows: 2 }), 7)).toEqual([2, 4, 6]);
  });

  it('starts anew after a break, wherever it was; statistics stay', () => {
    for (let rows = 0; rows < 9; rows++) {
      const inputs = makeInputs({ windowRows: 3, hopRows: 2, features: raw });
      dueRows(inputs, rows);
      breakWindow(inputs);
      expect(dueRows(inputs, 6)).toEqual([2, 4]);
      expect([...inputs.raw]).toEqual([2, 3, 4]);
      expect(inputs.scaler.count[0]).toBe(rows + 6);
    }
  });

  it('breaks at a change of label if it is to; a row without a label is no change', () => {
    const labels = [0, 0, NO_LABEL, 0, 1, NO_LABEL, 1, 1];
    for (const [breakAtLabelChange, expected] of [
      [true, [2, 3, 6, 7]],
      [false, [2, 3, 4, 5, 6, 7]],
    ] as const) {
      const inputs = makeInputs({ windowRows: 3, breakAtLabelChange, features: raw });
      const due = labels.flatMap((label, row) => {
        takeLabel(inputs, label);
        return feed(inputs, row) === 1 ? [row] : [];
      });
      expect(due).toEqual(expected);
    }
  });
});

describe('a run', () => {
  it('goes on from a copy of the arena with equal bytes, whenever it was copied', () => {
    const rows = makeRows(400, 3, 17);
    for (const hopRows of [1, 5, 30]) {
      for (let copied = 0; copied < 200; copied += 7) {
        const first = planned({ ...EVERYTHING, hopRows });
        const original = openIn(first);
        const step = (inputs: Inputs, row: number): number => {
          if (row % 90 === 60) breakWindow(inputs);
          takeLabel(inputs, Math.floor(row / 70));
          return takeRow(inputs, rows, row * 3);
        };
        for (let row = 0; row < copied; row++) step(original, row);
        const copy = openIn({ ...first, buffer: first.buffer.slice(0) });
        for (let row = copied; row < 400; row++) {
          const due = step(original, row);
          expect(step(copy, row)).toBe(due);
          if (due === 1) expect(scaledOf(copy)).toEqual(scaledOf(original));
        }
        expect(Buffer.compare(copy.bytes, original.bytes)).toBe(0);
      }
    }
  });

  it('gives to a prefix of the rows the first of its samples', () => {
    const rows = makeRows(300, 3, 23);
    const samplesOf = (count: number): string[] => {
      const inputs = makeInputs(EVERYTHING);
      const samples: string[] = [];
      for (let row = 0; row < count; row++) {
        if (takeRow(inputs, rows, row * 3) === 1) samples.push(String([...inputs.raw, ...scaledOf(inputs)]));
      }
      return samples;
    };
    const all = samplesOf(300);
    expect(all.length).toBe(56);
    for (let count = 0; count < 300; count += 13) {
      const samples = samplesOf(count);
      expect(samples).toEqual(all.slice(0, samples.length));
    }
  });

  it.each([1, 5, 24])('takes no heap, hop %i', (hopRows) => {
    const inputs = makeInputs({ ...EVERYTHING, hopRows });
    const rows = makeRows(512, 3, 31);
    const scaled = new Float32Array(inputs.raw.length);
    let row = 0;
    const perRow = heapBytesPerCall(() => {
      row = (row + 1) & 511;
      takeLabel(inputs, row >> 7);
      if (takeRow(inputs, rows, row * 3) === 1) standardise(inputs, inputs.raw, 0, scaled, 0);
    });
    expect(perRow).toBeLessThan(1);
  });
});

describe('the config', () => {
  it('says how many inputs there are and what they are called', () => {
    const config: InputsConfig = {
      ...PLAIN,
      columns: 2,
      windowRows: 3,
      features: [
        { column: 1, kind: 'raw' },
        { column: 0, kind: 'newest' },
        { column: 0, kind: 'zeroCrossings' },
        { column: 1, kind: 'bands', bands: 1 },
      ],
    };
    expect(inputCount(config)).toBe(6);
    expect(inputNames(config, ['x', 'y'])).toEqual([
      'y[-2]',
      'y[-1]',
      'y[0]',
      'x',
      'x.zeroCrossings',
      'y.bands[0]',
    ]);
  });

  it.each<[string, Partial<InputsConfig>]>([
    ['window in rows: expected an integer from 1 to 65536, got 0', { windowRows: 0 }],
    ['hop in rows: expected an integer from 1 to 2147483647, got 1.5', { hopRows: 1.5 }],
    ['clip: expected a number above 0, got NaN', { clip: NaN }],
    ['features: expected at least one', { features: [] }],
    ['column of raw: expected an integer from 0 to 0, got 1', { features: [{ column: 1, kind: 'raw' }] }],
    ['slope: expected a window of at least 2 rows, got 1', { features: [{ column: 0, kind: 'slope' }] }],
    [
      'bands: expected an integer from 1 to 4, got 5',
      { windowRows: 15, features: [{ column: 0, kind: 'bands', bands: 5 }] },
    ],
    [
      'bands: expected an integer from 1 to 4, got 0',
      { windowRows: 15, features: [{ column: 0, kind: 'bands' }] },
    ],
    [
      'inputs: expected at most 65536, got 131072',
      {
        windowRows: 65_536,
        features: [
          { column: 0, kind: 'raw' },
          { column: 0, kind: 'raw' },
        ],
      },
    ],
    ['feature: expected one of newest, raw', { features: [{ column: 0, kind: 'median' as 'mean' }] }],
  ])('is refused with a sentence: %s', (sentence, changes) => {
    const plan = (): unknown => planInputs(new ArenaPlan(), { ...PLAIN, ...changes });
    expect(plan).toThrow(EdgeloopError);
    expect(plan).toThrow(sentence);
  });
});
