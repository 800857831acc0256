import { describe, expect, test } from 'vitest';
import { mulberry32 } from '../../src/engine/random.ts';

describe('mulberry32', () => {
  test('gives the published numbers for seed 1', () => {
    const random = mulberry32(1);
    expect([random(), random(), random()]).toEqual([
      0.6270739405881613, 0.002735721180215478, 0.5274470399599522,
    ]);
  });

  test('counts only the low 32 bits of the seed', () => {
    expect(mulberry32(2 ** 32 + 5)()).toBe(mulberry32(5)());
    expect(mulberry32(-1)()).toBe(mulberry32(0xffffffff)());
    expect(mulberry32(5)()).not.toBe(mulberry32(6)());
  });

  test('two generators of one seed do not disturb each other', () => {
    const first = mulberry32(7);
    const second = mulberry32(7);
    const alone = [first(), first(), first()];
    expect([second(), second(), second()]).toEqual(alone);
  });

  test('fills the unit interval evenly and never reaches 1', () => {
    const random = mulberry32(3);
    const counts = Array.from({ length: 10 }, () => 0);
    for (let draw = 0; draw < 100_000; draw++) counts[Math.floor(random() * 10)]++;
    expect(Object.keys(counts).length).toBe(10); // a draw outside [0, 1) would have made a new key
    // 10 000 in each tenth, standard deviation 95.
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  });
});
