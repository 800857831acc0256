import { describe, expect, it } from 'vitest';
import { ArenaPlan } from '../../../src/engine/arena.ts';
import { mulberry32 } from '../../../src/engine/random.ts';
import {
  type Mahalanobis,
  factorise,
  farthestValue,
  openMahalanobis,
  planMahalanobis,
  resetMahalanobis,
  takeIntoSpread,
  writeDistance,
} from '../../../src/learn/anomaly/mahalanobis.ts';

function newModel(values: number): Mahalanobis {
  const plan = new ArenaPlan();
  const parts = planMahalanobis(plan, values);
  const model = openMahalanobis(plan.allocate().buffer, parts);
  resetMahalanobis(model);
  return model;
}

/** Vectors whose values go together. */
function vectors(values: number, count: number): Float32Array[] {
  const random = mulberry32(values);
  return Array.from({ length: count }, () => {
    const shared = random();
    return Float32Array.from({ length: values }, (_, i) => shared * (i + 1) + random() - i);
  });
}

/** x of matrix·x = b by Gauss's elimination: the plain way, on the whole matrix. */
function solve(matrix: number[][], b: number[]): number[] {
  const rows = matrix.map((row, i) => [...row, b[i]]);
  for (let i = 0; i < rows.length; i++) {
    const pivot = rows.findIndex((row, r) => r >= i && row[i] !== 0);
    [rows[i], rows[pivot]] = [rows[pivot], rows[i]];
    for (let r = 0; r < rows.length; r++) {
      if (r === i) continue;
      const factor = rows[r][i] / rows[i][i];
      rows[r] = rows[r].map((value, c) => value - factor * rows[i][c]);
    }
  }
  return rows.map((row, i) => row[rows.length] / row[i]);
}

describe('the distance from what is usual', () => {
  for (const values of [1, 2, 3, 5, 8, 16]) {
    it(`is that of the covariance with a ridge, solved the plain way: ${values} values`, () => {
      const model = newModel(values);
      const learned = vectors(values, 200);
      for (const z of learned) takeIntoSpread(model, z);
      factorise(model);
      const mean = learned[0].map((_, i) => learned.reduce((sum, z) => sum + z[i], 0) / learned.length);
      const covariance = Array.from(mean, (_, i) =>
        Array.from(
          mean,
          (_, j) => learned.reduce((sum, z) => sum + (z[i] - mean[i]) * (z[j] - mean[j]), 0) / 200,
        ),
      );
      const trace = covariance.reduce((sum, row, i) => sum + row[i], 0);
      covariance.forEach((row, i) => (row[i] += (1e-3 * trace) / values));
      const answer = new Float64Array(2);
      const z = Float32Array.from(mean, (_, i) => (i % 3) - 1);
      writeDistance(model, z, answer, 1);
      const difference = Array.from(z, (value, i) => value - mean[i]);
      const solved = solve(covariance, difference);
      const parts = difference.map((d, i) => d * solved[i]);
      const expected = parts.reduce((sum, part) => sum + part, 0) / values;
      expect(Math.abs(answer[1] / expected - 1)).toBeLessThan(1e-4); // the mean above is rounded to float32
      expect(farthestValue(model)).toBe(parts.indexOf(Math.max(...parts)));
    });
  }

  it('is finite where nothing varied, and where one value is the sum of others', () => {
    const still = newModel(2);
    for (let row = 0; row < 10; row++) takeIntoSpread(still, Float32Array.of(1, 2));
    const sum = newModel(3);
    for (const [a, b] of vectors(2, 50)) takeIntoSpread(sum, Float32Array.of(a, b, a + b));
    const answer = new Float64Array(2);
    factorise(still);
    writeDistance(still, Float32Array.of(1, 4), answer, 0);
    expect(answer[0]).toBe(2);
    factorise(sum);
    writeDistance(sum, Float32Array.of(0, 0, 3), answer, 1);
    expect(answer[1]).toBeGreaterThan(10);
    expect(Number.isFinite(answer[1])).toBe(true);
  });
});
