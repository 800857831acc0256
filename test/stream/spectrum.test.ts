import { describe, expect, it } from 'vitest';
import { mulberry32 } from '../../src/engine/random.ts';
import { blockRowsOf, makeSpectrum, transform } from '../../src/stream/spectrum.ts';
import { naivePower } from '../support/naive-features.ts';

const SIZES = [2, 4, 8, 16, 32, 128, 1024];

describe('the power spectrum', () => {
  it.each(SIZES)('is that of the discrete Fourier transform, of %i values', (rows) => {
    const random = mulberry32(rows);
    const spectrum = makeSpectrum(rows);
    const values = Float32Array.from({ length: rows + 5 }, () => 40 * random() - 10);
    for (const missing of [0, 1, 2]) {
      for (let i = 0; i < missing; i++) values[5 + Math.floor(random() * rows)] = NaN;
      const block = [...values.subarray(5)];
      const there = block.filter((value) => value === value).length;
      expect(transform(spectrum, values, 5)).toBe(there);
      if (there === 0) continue;
      const expected = naivePower(block);
      const most = Math.max(...expected);
      for (const [k, power] of expected.entries()) {
        expect(Math.abs(spectrum.power[k] - power)).toBeLessThan(1e-13 * most + 1e-30);
      }
    }
  });

  it('has twiddles that are right to a few units in the last place of 1', () => {
    const { rows, cosines, sines } = makeSpectrum(65_536);
    for (let k = 0; k < rows / 2; k++) {
      const angle = (2 * Math.PI * k) / rows;
      expect(Math.abs(cosines[k] - Math.cos(angle))).toBeLessThan(2e-15);
      expect(Math.abs(sines[k] - Math.sin(angle))).toBeLessThan(2e-15);
    }
  });

  it('puts a tone where it is, with its variance, and does not see an offset', () => {
    const spectrum = makeSpectrum(64);
    const tone = Float32Array.from({ length: 64 }, (_, n) => 500 + 3 * Math.sin((2 * Math.PI * 10 * n) / 64));
    transform(spectrum, tone, 0);
    expect(spectrum.power.indexOf(Math.max(...spectrum.power))).toBe(9); // bin 10
    expect(spectrum.power.reduce((sum, power) => sum + power, 0)).toBeCloseTo(9 / 2, 4);
    expect(spectrum.power[0]).toBeLessThan(1e-9);
  });

  it('adds up to the variance of noise', () => {
    const random = mulberry32(6);
    const spectrum = makeSpectrum(256);
    let sum = 0;
    for (let block = 0; block < 400; block++) {
      const noise = Float32Array.from({ length: 256 }, () => random() - 0.5);
      transform(spectrum, noise, 0);
      sum += spectrum.power.reduce((all, power) => all + power, 0) / 400;
    }
    expect(sum * 12).toBeGreaterThan(0.98);
    expect(sum * 12).toBeLessThan(1.02);
  });

  it('is 0 where nothing moves and where nothing is there', () => {
    const spectrum = makeSpectrum(16);
    transform(spectrum, new Float32Array(16).fill(0.1), 0);
    expect([...spectrum.power]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    expect(transform(spectrum, new Float32Array(16).fill(NaN), 0)).toBe(0);
    expect([...spectrum.power]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });
});

describe('the size of a block', () => {
  it('is the largest power of two that fits', () => {
    expect([1, 2, 3, 4, 100, 128, 65_536].map(blockRowsOf)).toEqual([1, 2, 2, 4, 64, 128, 65_536]);
  });
});
