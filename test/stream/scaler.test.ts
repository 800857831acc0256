import { describe, expect, it } from 'vitest';
import { ArenaPlan } from '../../src/engine/arena.ts';
import { mulberry32 } from '../../src/engine/random.ts';
import {
  CLIP,
  type Scaler,
  fadeScaler,
  freezeScaler,
  openScaler,
  planScaler,
  scale,
  scaleColumns,
  scaleMany,
  scalerMode,
  thawScaler,
  updateColumns,
  updateScaler,
} from '../../src/stream/scaler.ts';

function makeScaler(columns: number): Scaler {
  const plan = new ArenaPlan();
  const parts = planScaler(plan, columns);
  return openScaler(plan.allocate().buffer, parts);
}

function feed(scaler: Scaler, values: readonly number[]): void {
  for (const value of values) updateScaler(scaler, Float32Array.of(value), 0);
}

function stateOf({ count, mean, m2 }: Scaler): number[] {
  return [count[0], mean[0], m2[0]];
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

  it('takes what is not finite for missing', () => {
    const scaler = makeScaler(1);
    for (const value of [1, Infinity, 3, -Infinity, NaN]) updateScaler(scaler, Float32Array.of(value), 0);
    expect([scaler.count[0], scaler.mean[0], scaler.m2[0]]).toEqual([2, 2, 2]);
    expect(scaled(scaler, Infinity)).toEqual([0]);
  });

  it('takes some columns only, and scales one value of each or many of one', () => {
    const scaler = makeScaler(4);
    for (const value of [1, 2, 3, 4]) updateColumns(scaler, 1, 2, Float32Array.of(0, value, -value), 1);
    expect([...scaler.count]).toEqual([0, 4, 4, 0]);
    const out = new Float32Array(5).fill(9);
    scaleColumns(scaler, 1, 2, 1, Float32Array.of(0, 2.5, -20), 1, out, 1);
    expect([...out]).toEqual([9, 0, -1, 9, 9]);
    scaleMany(scaler, 1, 3, Infinity, Float32Array.of(0, 2.5, NaN, 102.5), 1, out, 2);
    expect([...out]).toEqual([9, 0, 0, 0, Math.fround(100 / Math.sqrt(1.25))]);
  });
});

describe('the modes of the scaler', () => {
  it('is running in a new arena', () => {
    expect(scalerMode(makeScaler(1))).toBe('running');
  });

  it('stands still when frozen and goes on when thawed', () => {
    const [scaler, never] = [makeScaler(1), makeScaler(1)];
    feed(scaler, [1, 2, 4]);
    freezeScaler(scaler);
    expect(scalerMode(scaler)).toBe('frozen');
    const before = stateOf(scaler);
    feed(scaler, [100, 200]);
    expect(stateOf(scaler)).toEqual(before);
    thawScaler(scaler);
    feed(scaler, [5]);
    feed(never, [1, 2, 4, 5]);
    expect(stateOf(scaler)).toEqual(stateOf(never));
  });

  it('fades: mean and variance are those of weights (1 − rate)^age', () => {
    const random = mulberry32(8);
    const scaler = makeScaler(1);
    const first = Array.from({ length: 200 }, () => Math.fround(random()));
    feed(scaler, first);
    let mean = scaler.mean[0];
    let square = scaler.m2[0] / 200 + mean * mean;
    fadeScaler(scaler, 0.02);
    expect(scalerMode(scaler)).toBe('exponential');
    for (let i = 0; i < 1000; i++) {
      const value = Math.fround(5 + 3 * random());
      feed(scaler, [value]);
      mean += 0.02 * (value - mean);
      square += 0.02 * (value * value - square);
    }
    expect(scaler.mean[0]).toBeCloseTo(mean, 9);
    expect(scaler.m2[0] / scaler.count[0]).toBeCloseTo(square - mean * mean, 9);
    expect(scaler.count[0]).toBe(200);
  });

  it('counts a column with few values as running while others fade', () => {
    const [scaler, running] = [makeScaler(1), makeScaler(1)];
    fadeScaler(scaler, 0.001);
    const values = Array.from({ length: 100 }, (_, i) => (i * 7) % 13);
    feed(scaler, values);
    feed(running, values);
    expect(stateOf(scaler)).toEqual(stateOf(running));
    feed(scaler, [50]);
    expect(scaler.count[0]).toBe(100);
    expect(scaler.mean[0]).toBeCloseTo(running.mean[0] + 0.001 * (50 - running.mean[0]), 12);
  });

  it('passes over missing values when fading', () => {
    const scaler = makeScaler(1);
    feed(
      scaler,
      Array.from({ length: 150 }, (_, i) => i),
    );
    fadeScaler(scaler, 0.1);
    const before = stateOf(scaler);
    feed(scaler, [NaN, Infinity]);
    expect(stateOf(scaler)).toEqual(before);
  });

  it('refuses a rate that is none', () => {
    for (const rate of [0, 1, -0.1, NaN]) expect(() => fadeScaler(makeScaler(1), rate)).toThrow(RangeError);
  });
});
