import { describe, expect, it } from 'vitest';
import { PrintedClock, STEP, type TimeUnit } from '../../src/serial/printed-clock.ts';

/** Each step's time, or what was the matter. */
function walk(
  unit: TimeUnit,
  steps: readonly (readonly [printed: number, readUs: number])[],
): (number | string)[] {
  const clock = new PrintedClock(unit);
  return steps.map(([printed, readUs]) => {
    const step = clock.step(Float64Array.of(printed), Float64Array.of(readUs));
    if (step === STEP.unreadable) return 'unreadable';
    return step === STEP.anew ? `anew ${clock.times[0]}` : clock.times[0];
  });
}

describe('a printed clock', () => {
  it('counts as the board does, from when the first row was read', () => {
    const steps: [number, number][] = [
      [500, 70_000],
      [504, 90_000],
      [508.25, 90_000],
      [512, 90_001],
    ];
    expect(walk('ms', steps)).toEqual([70_000, 74_000, 78_250, 82_000]);
    expect(walk('us', steps)).toEqual([70_000, 70_004, 70_008, 70_012]); // to whole µs, halves up
    expect(
      walk(
        's',
        steps.map(([printed, readUs]) => [printed, readUs * 1000]),
      ),
    ).toEqual([70_000_000, 74_000_000, 78_250_000, 82_000_000]);
  });

  it.each([
    ['ms', 2 ** 32, 'millis()'],
    ['us', 2 ** 32, 'micros()'],
    ['s', 2 ** 32 / 1000, 'millis() / 1000'],
    ['ms', 2 ** 30, "MicroPython's ticks_ms()"],
    ['us', 2 ** 30, "MicroPython's ticks_us()"],
    ['ms', 2 ** 29, "CircuitPython's ticks_ms()"],
  ] as const)('of %s wraps at %d: %s', (unit, turn, _what) => {
    const unitUs = { us: 1, ms: 1000, s: 1_000_000 }[unit];
    const step = 0.02 / (unitUs / 1e6);
    expect(
      walk(unit, [
        [turn - step, 1000],
        [0, 21_000],
        [step, 41_000],
      ]),
    ).toEqual([1000, 21_000, 41_000]);
  });

  it('wraps as often as ours says while nothing came, and also from far ahead of the wrap', () => {
    const turnUs = 2 ** 32;
    const elapsedUs = 3 * turnUs - 1_000_000;
    expect(
      walk('us', [
        [2_000_000, 0],
        [1_000_000, elapsedUs],
      ]),
    ).toEqual([0, elapsedUs]);
    expect(
      walk('us', [
        [1000, 0],
        [2000, 2 * turnUs + 500],
      ]),
    ).toEqual([0, 2 * turnUs + 1000]);
  });

  it('begins anew with a reset, and where it runs ahead of ours: a damaged digit', () => {
    expect(
      walk('ms', [
        [60_000, 0],
        [60_010, 10_000],
        [3, 900_000],
        [13, 910_000],
        [9_000_013, 920_000],
        [33, 930_000],
        [43, 940_000],
      ]),
    ).toEqual([0, 10_000, 'anew 900000', 910_000, 'anew 920000', 'anew 930000', 940_000]);
  });

  it('never goes back, though it was ahead of ours when it began anew', () => {
    const clock = [
      [0, 0],
      [9000, 10_000],
      [5, 20_000],
      [15, 9_500_000],
    ] as const;
    expect(walk('ms', clock)).toEqual([0, 9_000_000, 'anew 9000000', 9_010_000]);
  });

  it('believes a board that slept: its clock stood still', () => {
    expect(
      walk('ms', [
        [1000, 0],
        [1010, 60_000_000],
      ]),
    ).toEqual([0, 10_000]);
  });

  it('takes nothing that is no clock', () => {
    expect(
      walk('s', [
        [NaN, 5],
        [-1, 5],
        [1e10, 5],
        [1, 5],
      ]),
    ).toEqual(['unreadable', 'unreadable', 'unreadable', 5]);
  });

  it('gives the same times again for the same numbers and reads', () => {
    const steps = Array.from({ length: 1000 }, (_, row): [number, number] => [
      ((row * 10.1 + 4_294_960_000) % 2 ** 32) * (row === 700 ? 0 : 1),
      row * 10_000 + (row % 7) * 300,
    ]);
    expect(walk('ms', steps)).toEqual(walk('ms', steps));
    const times = walk('ms', steps).map((time) => Number(String(time).replace('anew ', '')));
    for (const [index, time] of times.slice(1).entries()) expect(time).toBeGreaterThanOrEqual(times[index]);
  });
});
