import { describe, expect, it } from 'vitest';
import { ArenaPlan, viewsOf } from '../../../src/engine/arena.ts';
import { mulberry32 } from '../../../src/engine/random.ts';
import {
  THRESHOLD,
  endAlarm,
  planThreshold,
  startThreshold,
  takeScore,
} from '../../../src/learn/anomaly/threshold.ts';

function newThreshold(mean: number, deviation: number): Float64Array {
  const plan = new ArenaPlan();
  const state = planThreshold(plan);
  const views = viewsOf(plan.allocate().buffer, { state });
  startThreshold(views.state, mean, deviation);
  return views.state;
}

describe('the threshold of alarms', () => {
  it('finds the height at which alarms come once in B rows, where the least height gives far more', () => {
    for (const budget of [100, 1000]) {
      const random = mulberry32(2);
      const state = newThreshold(0, 1);
      // P(score > 3) = 22 %: the deviation it was told is far too small.
      const rows = 100 * budget;
      for (let row = 0; row < rows; row++) takeScore(state, -2 * Math.log(1 - random()), budget);
      expect(state[THRESHOLD.alarms]).toBeGreaterThan(80);
      expect(state[THRESHOLD.alarms]).toBeLessThan(130);
    }
  });

  it('falls by half a deviation in B quiet rows, and never below mean + 3 deviations', () => {
    const state = newThreshold(10, 2);
    expect(state[THRESHOLD.value]).toBe(16);
    state[THRESHOLD.value] = 18;
    for (let row = 0; row < 50; row++) takeScore(state, 0, 50);
    expect(state[THRESHOLD.value]).toBeCloseTo(17, 9);
    for (let row = 0; row < 500; row++) takeScore(state, 0, 50);
    expect(state[THRESHOLD.value]).toBe(16);
  });

  it('begins at the first score above, and ends after three in a row below threshold − deviation', () => {
    const state = newThreshold(0, 1);
    const alarms = [3, 3.1, 1, 1, 2.5, 1, 1, 1, 1, 3.4].map((score) => takeScore(state, score, 1e9));
    expect(alarms).toEqual([0, 1, 1, 1, 1, 1, 1, 0, 0, 0]);
    expect(state[THRESHOLD.alarms]).toBe(1);
    expect(state[THRESHOLD.value]).toBeCloseTo(3.5, 6);
    expect(takeScore(state, 3.6, 1e9)).toBe(1);
    endAlarm(state);
    endAlarm(state);
    expect(state[THRESHOLD.alarm]).toBe(0);
    expect(state[THRESHOLD.value]).toBeCloseTo(4, 6);
  });
});
