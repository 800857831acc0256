import { describe, expect, it } from 'vitest';
import { ArenaPlan } from '../../../src/engine/arena.ts';
import { mulberry32 } from '../../../src/engine/random.ts';
import { FADING_ROWS } from '../../../src/learn/scores/fading.ts';
import {
  type Regression,
  openRegression,
  planRegression,
  scoreValue,
} from '../../../src/learn/scores/regression.ts';
import { type ValueErrors, regressionReport } from '../../../src/learn/scores/report.ts';
import { heapBytesPerCall } from '../../support/heap.ts';

const T = 3;
const NAMES = ['co', 'nox', 'temperature'];

function open(): { scores: Regression; bytes: Uint8Array } {
  const plan = new ArenaPlan();
  const parts = planRegression(plan, T);
  const { buffer } = plan.allocate();
  return { scores: openRegression(buffer, T, parts), bytes: new Uint8Array(buffer) };
}

interface Row {
  predicted: number;
  actual: number;
  linear: number;
  persistence: number;
}

/** A slow walk far from zero; now and then no value before. */
function stream(seed: number, rows: number): Row[] {
  const random = mulberry32(seed);
  let actual = 1000;
  let before = NaN;
  return Array.from({ length: rows }, () => {
    actual += random() - 0.5;
    const persistence = random() < 0.05 ? NaN : before;
    before = actual;
    return { predicted: actual + 0.2 * random(), actual, linear: actual + random() - 0.4, persistence };
  });
}

function feed(scores: Regression, target: number, rows: readonly Row[]): void {
  for (const { predicted, actual, linear, persistence } of rows) {
    scoreValue(scores, target, predicted, actual, linear, persistence);
  }
}

function naiveErrors(
  rows: readonly Row[],
  answers: readonly number[],
  weights: readonly number[],
): ValueErrors {
  const mean = (value: (index: number) => number): number => {
    const known = rows.map((_, i) => i).filter((i) => !Number.isNaN(value(i)));
    const total = known.reduce((sum, i) => sum + weights[i], 0);
    return known.reduce((sum, i) => sum + weights[i] * value(i), 0) / total;
  };
  const square = mean((i) => (rows[i].actual - answers[i]) ** 2);
  const centre = mean((i) => rows[i].actual);
  return {
    rows: answers.reduce((sum, answer, i) => sum + (Number.isNaN(answer) ? 0 : weights[i]), 0),
    rmse: Math.sqrt(square),
    mae: mean((i) => Math.abs(rows[i].actual - answers[i])),
    r2: 1 - square / mean((i) => (rows[i].actual - centre) ** 2),
  };
}

describe('the scores of numbers foretold', () => {
  it.each([1, 2, 3])(
    'are those of the definitions, for each competitor, target and window (seed %i)',
    (seed) => {
      const { scores } = open();
      const streams = NAMES.map((_, target) => stream(10 * seed + target, 1000 + 700 * target));
      streams.forEach((rows, target) => feed(scores, target, rows));
      const { targets } = regressionReport(scores, NAMES);
      streams.forEach((rows, target) => {
        const runningMean = rows.map(
          (_, i) => rows.slice(0, i).reduce((sum, { actual }) => sum + actual, 0) / i,
        );
        const even = rows.map(() => 1);
        const fading = rows.map((_, i) => (1 - 1 / FADING_ROWS) ** (rows.length - 1 - i));
        const { all, recent } = targets[target];
        for (const [window, weights] of [
          [all, even],
          [recent, fading],
        ] as const) {
          const pairs: [ValueErrors | null, number[]][] = [
            [window, rows.map(({ predicted }) => predicted)],
            [window.beside.runningMean, runningMean],
            [window.beside.persistence, rows.map(({ persistence }) => persistence)],
            [window.beside.linear, rows.map(({ linear }) => linear)],
          ];
          for (const [actual, answers] of pairs) {
            const expected = naiveErrors(rows, answers, weights);
            for (const key of ['rows', 'rmse', 'mae', 'r2'] as const) {
              expect(actual![key]! / expected[key]!, key).toBeCloseTo(1, 7);
            }
          }
        }
      });
      expect(targets[1].against.persistence!.rows).toBe(targets[1].all.beside.persistence!.rows);
    },
  );

  it('keep their fading window when its weights are divided', () => {
    const { scores } = open();
    const rows = stream(4, 70_000);
    feed(scores, 1, rows);
    const { recent } = regressionReport(scores, NAMES).targets[1];
    const newest = rows.slice(-20_000);
    const weights = newest.map((_, i) => (1 - 1 / FADING_ROWS) ** (newest.length - 1 - i));
    const answers = newest.map(({ predicted }) => predicted);
    const expected = naiveErrors(newest, answers, weights);
    expect(recent.rows).toBeCloseTo(FADING_ROWS, 3);
    expect(recent.rmse).toBeCloseTo(expected.rmse!, 6);
    expect(recent.r2).toBeCloseTo(expected.r2!, 5);
  });

  it('do not hide answers that are not finite, and are not spoilt by them', () => {
    const { scores } = open();
    feed(scores, 0, stream(5, 100));
    const before = regressionReport(scores, NAMES).targets[0].all.rmse;
    scoreValue(scores, 0, NaN, 1000, 1000, 1000);
    scoreValue(scores, 0, Infinity, 1000, 1000, 1000);
    const [after] = regressionReport(scores, NAMES).targets;
    expect(after.notFinite).toBe(2);
    expect(after.all.rmse).toBe(before);
    expect(after.all.beside.linear!.rows).toBe(100);
  });

  it('score nothing where there is no value, and say nothing of no rows', () => {
    const { scores, bytes } = open();
    scoreValue(scores, 0, 1, NaN, 1, 1);
    const [target] = regressionReport(scores, NAMES).targets;
    expect(target.all).toMatchObject({ rows: 0, rmse: null, r2: null, beside: { linear: null } });
    expect(target.against.runningMean).toBeNull();
    scores.row.fill(0);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
  });

  it('go on from a copy of the arena with equal bytes', () => {
    const rows = stream(6, 3000);
    const original = open();
    rows.slice(0, 1234).forEach((row, i) => feed(original.scores, i % T, [row]));
    const copy = open();
    copy.bytes.set(original.bytes);
    rows.slice(1234).forEach((row, i) => {
      feed(original.scores, i % T, [row]);
      feed(copy.scores, i % T, [row]);
      if (Buffer.compare(original.bytes, copy.bytes) !== 0) expect.fail('the copy went another way');
    });
    expect(original.scores.actual[0]).toBeGreaterThan(900);
  });

  it('leave nothing on the heap', () => {
    const { scores } = open();
    const values = Float64Array.from(stream(7, 4096), ({ predicted }) => predicted);
    let at = 0;
    const bytes = heapBytesPerCall(() => {
      at = (at + 1) & 4095;
      scoreValue(scores, at % T, values[at], values[at] + 1, values[at] + 0.5, values[at] - 0.5);
    });
    expect(bytes).toBeLessThan(1);
  });
});
