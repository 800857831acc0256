import { describe, expect, it } from 'vitest';
import { ArenaPlan } from '../../src/engine/arena.ts';
import { mulberry32 } from '../../src/engine/random.ts';
import { CLIP, type Scaler, openScaler, planScaler, scale, updateScaler } from '../../src/stream/scaler.ts';

function makeScaler(columns: number): Scaler {
  const plan = new ArenaPlan();
  const parts = planScaler(plan, columns);
  return openScaler(plan.allocate().buffer, parts);
}

function scaled(scaler: Scaler, ...values: number[]): number[] {
  const out = new Float32Array(values.length);
  scale(scaler, Float32Array.from(values), 0, out);
  return [...out];
}

describe('the running standardisation', () => {
  it('has the mean and the population variance of all values seen', () => {
    const random = mulberry32(3);
    const values = Array.from({ length: 5000 }, () => Math.fround(1e4 + random()));
    const scaler = makeScaler(1);
    for (const value of values) updateScaler(scaler, Float32Array.of(value), 0);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    expect(scaler.mean[0]).toBeCloseTo(mean, 9);
    expect(scaler.m2[0] / scaler.count[0]).toBeCloseTo(variance, 9);
    expect(scaled(scaler, mean + Math.sqrt(variance))[0]).toBeCloseTo(1, 2);
  });

  it('scales a missing value and a column that never moved to 0, and a missing value updates nothing', () => {
    const scaler = makeScaler(2);
    for (const value of [1, 2, 3]) updateScaler(scaler, Float32Array.of(value, 7), 0);
    updateScaler(scaler, Float32Array.of(NaN, 7), 0);
    expect([...scaler.count]).toEqual([3, 4]);
    expect(scaled(scaler, NaN, 7)).toEqual([0, 0]);
  });

  it('cuts off at five deviations', () => {
    const scaler = makeScaler(1);
    for (const value of [-1, 1]) updateScaler(scaler, Float32Array.of(value), 0);
    expect(scaled(scaler, 1e30)).toEqual([CLIP]);
    expect(scaled(scaler, -1e30)).toEqual([-CLIP]);
  });

  it('counts beyond what a float32 can count', () => {
    const scaler = makeScaler(1);
    scaler.count[0] = 2 ** 24;
    updateScaler(scaler, Float32Array.of(0), 0);
    expect(scaler.count[0]).toBe(2 ** 24 + 1);
  });

  it('reads the row where it starts', () => {
    const scaler = makeScaler(2);
    updateScaler(scaler, Float32Array.of(9, 9, 1, 2), 2);
    expect([...scaler.mean]).toEqual([1, 2]);
  });
});
