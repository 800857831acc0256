import { describe, expect, test } from 'vitest';
import { exp, log, sigmoid, tanh } from '../../src/engine/arithmetic.ts';

const { fround } = Math;

/** float32 values over [-limit, limit], evenly, with some very near to zero. */
function* arguments32(limit: number): Generator<number> {
  const steps = 40_000;
  for (let i = -steps; i <= steps; i++) yield fround((i / steps) * limit);
  for (let exponent = -40; exponent < 0; exponent++) {
    for (const mantissa of [1, 1.3, -1.7]) yield fround(mantissa * 10 ** exponent);
  }
}

function largestError(limit: number, error: (x: number) => number): number {
  let largest = 0;
  for (const x of arguments32(limit)) largest = Math.max(largest, error(x));
  return largest;
}

const relative = (value: number, exact: number): number =>
  exact === 0 ? value : Math.abs(value / exact - 1);

describe('exp', () => {
  test('is within a relative error of 1e-6 up to |x| = 20, and of 2e-7 up to 1', () => {
    expect(largestError(20, (x) => relative(exp(x), Math.exp(x)))).toBeLessThan(1e-6);
    expect(largestError(1, (x) => relative(exp(x), Math.exp(x)))).toBeLessThan(2e-7);
  });

  test('stays a normal float32 however large the argument', () => {
    for (const x of [1e3, 3e38, Infinity]) expect(exp(x)).toBe(2 ** 126);
    for (const x of [-1e3, -3e38, -Infinity]) expect(exp(x)).toBe(2 ** -126);
  });
});

describe('sigmoid', () => {
  test('is within 1.2e-7', () => {
    expect(largestError(30, (x) => Math.abs(sigmoid(x) - 1 / (1 + Math.exp(-x))))).toBeLessThan(1.2e-7);
  });

  test('is one half at zero and between zero and one everywhere', () => {
    expect(sigmoid(0)).toBe(0.5);
    for (const x of [Infinity, 1e30, 100]) expect(sigmoid(x)).toBe(1);
    for (const x of [-Infinity, -1e30, -100]) expect(sigmoid(x)).toBeGreaterThan(0);
  });
});

describe('tanh', () => {
  test('is within 1.6e-7, and near zero within a relative error of 3e-7', () => {
    expect(largestError(20, (x) => Math.abs(tanh(x) - Math.tanh(x)))).toBeLessThan(1.6e-7);
    expect(largestError(0.5, (x) => (x === 0 ? 0 : tanhError(x)))).toBeLessThan(3e-7);
  });

  test('is zero at zero and one beyond', () => {
    expect(tanh(0)).toBe(0);
    for (const x of [30, 1e30, Infinity]) expect([tanh(x), tanh(-x)]).toEqual([1, -1]);
  });
});

/** Relative to tanh; where float32 is subnormal, two of its steps are granted. */
function tanhError(x: number): number {
  const distance = Math.abs(tanh(x) - Math.tanh(x));
  return Math.max(0, distance - 2 * 2 ** -149) / Math.abs(Math.tanh(x));
}

describe('log', () => {
  test('is within a relative error of 5e-16 from the least to the largest number', () => {
    let largest = 0;
    for (let exponent = -1074; exponent < 1024; exponent++) {
      for (const mantissa of [1, 1.1, 1.41421, 1.4143, 1.9999]) {
        const x = mantissa * 2 ** exponent;
        if (Math.abs(Math.log(x)) > 1e-3) largest = Math.max(largest, relative(log(x), Math.log(x)));
      }
    }
    expect(largest).toBeGreaterThan(0);
    expect(largest).toBeLessThan(5e-16);
  });

  test('is accurate near one, where it is nearly zero', () => {
    for (const distance of [1e-15, 1e-9, 1e-4, -1e-9, -1e-4]) {
      expect(relative(log(1 + distance), Math.log(1 + distance))).toBeLessThan(1e-15);
    }
    expect(log(1)).toBe(0);
  });

  test('has the values at the ends that a logarithm has', () => {
    expect([log(0), log(Infinity), log(-1), log(NaN)]).toEqual([-Infinity, Infinity, NaN, NaN]);
  });
});

test('float32 functions give float32 values and let NaN through', () => {
  for (const f of [exp, sigmoid, tanh]) {
    for (const x of [-3.3, -0.1, 1e-30, 0.7, 12]) expect(f(fround(x))).toBe(fround(f(fround(x))));
    expect(f(NaN)).toBeNaN();
  }
});
